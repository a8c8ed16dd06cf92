"""How many threads one participant has, and when its main thread is woken."""

import threading

import pytest

from jobs.fleet.hands import Hands, Piece
from tests.waiting import stays, wait_until


def test_there_is_a_thread_for_each_device_and_never_one_too_many() -> None:
    begun: list[bool] = []
    together, go_on = threading.Barrier(2), threading.Event()

    def work(piece: Piece) -> None:
        begun.append(threading.current_thread().daemon)
        if piece.host == "in a pair":
            together.wait(30)
        if piece.host == "waits":
            go_on.wait(30)

    def give(*hosts: str) -> None:
        hands.give([Piece(work, number, host, None) for number, host in enumerate(hosts)])

    hands = Hands(2)
    give("alone")
    wait_until(lambda: hands.in_hand == 0)
    give("in a pair", "in a pair")
    wait_until(lambda: hands.in_hand == 0)
    give(*["waits"] * 4)
    wait_until(lambda: len(begun) == 5)
    hands.wait(0, until=0)
    stays(lambda: len(begun) == 5, seconds=0.1)
    go_on.set()
    wait_until(lambda: hands.in_hand == 0)
    hands.close()
    assert begun == [True] * 7  # none keeps the process alive


@pytest.mark.parametrize(("until", "woken"), [(0, [False, True]), (1, [True, True])])
def test_the_main_thread_sleeps_until_a_device_is_over_and_few_enough_are_in_hand(
    until: int, woken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [threading.Event(), threading.Event()]
    slept: list[float] = []
    notified: list[bool] = []
    hands = Hands(2)
    monkeypatch.setattr(hands._was_done, "wait", slept.append)
    monkeypatch.setattr(hands._was_done, "notify", lambda: notified.append(True))
    hands.give([Piece(lambda piece: ends[piece.id].wait(30), number, "sw", None) for number in range(2)])
    hands.wait(1, until=2)
    hands.wait(2, until=until)
    assert slept == [1, 2]  # nothing is over yet
    seen = []
    for number, end in enumerate(ends):
        before = len(notified)
        end.set()
        wait_until(lambda number=number: hands.in_hand == 1 - number)  # type: ignore[misc]
        seen.append(len(notified) > before)
    assert seen == woken
    hands.wait(3, until=0)
    assert slept == [1, 2]
    assert len(hands.done()) == 2
    hands.close()


def test_it_sleeps_on_while_too_many_are_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    end, slept = threading.Event(), list[float]()
    hands = Hands(2)
    monkeypatch.setattr(hands._was_done, "wait", slept.append)
    hands.give([Piece(lambda piece: piece.id or end.wait(30), number, "sw", None) for number in range(2)])
    wait_until(lambda: hands.in_hand == 1)
    hands.wait(1, until=1)
    hands.wait(2, until=0)
    assert slept == [2]
    end.set()
    hands.close()
