"""How long a thread may stay in a block on a device, and what becomes of one that stays too long."""

import math
import threading

import pytest

from jobs.fleet.hands import Hands, Piece, Within
from tests.waiting import stays, wait_until


@pytest.fixture
def piece() -> Piece:
    return Piece(lambda piece: None, 1, "sw1", "sw1")


def test_after_a_block_within_a_block_the_time_of_the_outer_one_counts(piece: Piece) -> None:
    with Within(piece, 60, "outer"):
        deadline = piece.deadline
        with Within(piece, None, "inner"):
            assert (piece.at, piece.deadline) == ("inner", math.inf)
        assert (piece.at, piece.deadline) == ("outer", deadline)
    assert (piece.at, piece.deadline) == ("", math.inf)


def test_one_that_was_given_up_goes_no_further_and_what_it_was_at_stays_known(piece: Piece) -> None:
    went: list[str] = []

    def works() -> None:
        with Within(piece, -1, "act"):
            assert piece.give_up(math.inf)
        went.append("on")

    threading.Thread(target=works, daemon=True).start()
    wait_until(lambda: piece.given_up)
    stays(lambda: (piece.at, went) == ("act", []), seconds=0.2)


def test_one_that_has_left_its_block_is_not_given_up(piece: Piece) -> None:
    with Within(piece, -1, "act"):
        pass
    assert not piece.give_up(1.0)


def test_what_waits_for_a_thread_when_the_job_ends_is_not_begun() -> None:
    begun: list[str] = []
    go_on = threading.Event()

    def work(piece: Piece) -> None:
        begun.append(piece.host)
        go_on.wait(30)

    hands = Hands(1)
    hands.give([Piece(work, number, f"sw{number}", None) for number in range(2)])
    wait_until(lambda: begun)
    hands.close()
    go_on.set()
    wait_until(hands.done)
    assert (hands.is_empty, begun) == (True, ["sw0"])
