"""A system that allows no more threads, as a container's limit does: a job goes on with those that it has."""

import threading

import pytest

from jobs.body.shared_connection import SharedConnection
from jobs.fleet.hands import Hands, Piece, Within
from jobs.models import JobDevice
from jobs.testing import exception_of, perform_job
from tests.fake_jobs import fleets


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each thread that starts takes one from here; where there is none, it can't start."""
    start, places = threading.Thread.start, list[str]()

    def start_if_allowed(thread: threading.Thread) -> None:
        if not places:
            raise RuntimeError("can't start new thread")
        places.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_allowed)
    return places


@pytest.mark.django_db(transaction=True)
def test_a_few_threads_do_it_all_and_without_any_the_job_says_why_it_failed(allowed: list[str]) -> None:
    allowed += ["a thread"] * 3
    job = perform_job(fleets.each, hosts=[f"sw{number}" for number in range(20)], at_once=8)
    assert job.status == "FINISHED"
    assert JobDevice.objects.filter(job=job, state="DONE", failed=False).count() == 20
    assert not allowed
    job = perform_job(fleets.each, hosts=["sw1", "sw2"], at_once=8)
    assert (job.status, (exception_of(job) or {}).get("message")) == ("EXCEPTION", "can't start new thread")


def test_what_is_left_by_a_thread_that_hangs_goes_to_another_as_soon_as_one_can_start(
    allowed: list[str],
) -> None:
    hangs, go_on = threading.Event(), threading.Event()

    def work(piece: Piece) -> None:
        if piece.id == 0:
            with Within(piece, -1, "act"):
                hangs.set()
                go_on.wait(30)

    hands = Hands(2)
    allowed.append("a thread")
    hands.give([Piece(work, number, f"sw{number}", None) for number in range(2)])
    assert hangs.wait(10)
    hands.wait(0, until=0)  # no other can start, but this one works
    assert [(piece.host, thread.name) for piece, thread in hands.hung()] == [("sw0", "given-up-device-1")]
    with pytest.raises(RuntimeError, match="can't start new thread"):
        hands.wait(0, until=0)
    allowed.append("a thread")
    hands.wait(10, until=0)
    assert [piece.host for piece in hands.done()] == ["sw1"]
    hands.close()
    go_on.set()


def test_a_connection_that_no_thread_can_open_ahead_is_opened_when_it_is_needed(allowed: list[str]) -> None:
    shared = SharedConnection()
    with shared.opened():
        assert (allowed, shared._shared) == ([], None)
