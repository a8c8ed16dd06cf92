"""A thread that a time limit stops while it reads for others, or waits for them, holds nobody up."""

import ctypes
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.body.shared_read import SharedRead, _Turn
from tests.body.readings import HeldUp, waiting
from tests.waiting import wait_until


def test_one_stopped_while_it_waits_holds_nobody_up() -> None:
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)

    def read_when_told() -> str:
        began.release()
        assert go_on.acquire(timeout=10)
        return "read"

    read = SharedRead(read_when_told)

    def stopped() -> None:
        with pytest.raises(KeyboardInterrupt):
            read()

    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(read)
        assert began.acquire(timeout=10)
        leads = threading.Thread(target=stopped)
        leads.start()
        wait_until(lambda: waiting(read) == 1)  # it waits for its turn, and will read for those that come now
        others = [pool.submit(read) for _ in range(5)]
        wait_until(lambda: waiting(read) == 6)
        raised = ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(leads.ident or 0), ctypes.py_object(KeyboardInterrupt)
        )
        assert raised == 1
        go_on.release(10)
        leads.join(10)
        assert not leads.is_alive()
        assert [each.result(10) for each in (first, *others)] == ["read"] * 6


class StopsOnce(threading._RLock):  # type: ignore[misc]
    """The exception comes when ``with`` has the lock, but its block has not begun."""

    has_stopped = False

    def __enter__(self, blocking: bool = True, timeout: float = -1) -> bool:
        taken = super().__enter__(blocking, timeout)
        if not self.has_stopped:
            self.has_stopped = True
            raise KeyboardInterrupt
        return taken


@pytest.mark.parametrize("lock", ["_turn", "_mutex"])
def test_one_stopped_as_it_takes_a_lock_holds_nobody_up(lock: str) -> None:
    read = SharedRead(lambda: "read")
    setattr(read, lock, StopsOnce())
    with pytest.raises(KeyboardInterrupt):
        read()
    found: list[str] = []
    other = threading.Thread(target=lambda: found.append(read()), daemon=True)
    other.start()
    other.join(10)
    assert found == ["read"]


def test_a_thread_that_comes_just_then_does_not_wait_for_a_reading_that_was_stopped() -> None:
    read = HeldUp(lambda: "read")
    found: list[str] = []

    def stopped() -> None:
        with pytest.raises(KeyboardInterrupt):
            read()

    leads = threading.Thread(target=stopped)
    late = threading.Thread(target=lambda: found.append(read()), name="late", daemon=True)
    with read._turn:
        leads.start()
        wait_until(lambda: waiting(read) == 1)
        late.start()
        assert read.comes.wait(10)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(leads.ident or 0), ctypes.py_object(KeyboardInterrupt)
        )
    leads.join(0.1)  # as it must be, it does not end before the other goes on
    read.goes_on.set()
    leads.join(10)
    late.join(10)
    assert found == ["read"]


def test_one_stopped_while_it_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()
    end = _Turn.end

    def interrupted_once(self: _Turn[None, str]) -> None:
        if self.waiting and not interrupted.is_set():
            interrupted.set()
            self._is_over = True  # as far as it came: the first is woken, and the others are not
            self.waiting[0].release()
            raise KeyboardInterrupt
        end(self)

    monkeypatch.setattr(_Turn, "end", interrupted_once)
    go_on, began = threading.Semaphore(0), threading.Semaphore(0)

    def read_when_told() -> str:
        began.release()
        assert go_on.acquire(timeout=10)
        return "read"

    read = SharedRead(read_when_told)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(read)
        assert began.acquire(timeout=10)
        others = [pool.submit(read) for _ in range(3)]
        wait_until(lambda: waiting(read) == 3)
        go_on.release(2)
        ended = [each.exception(10) for each in others]
    assert first.result() == "read"
    assert [type(each) for each in ended if each] == [KeyboardInterrupt]
    assert [each.result() for each, error in zip(others, ended, strict=True) if error is None] == ["read"] * 2
