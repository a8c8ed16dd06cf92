"""What a participant notes of its devices, until it is written."""

import pytest

from jobs.fleet import result, unwritten
from jobs.fleet.hands import Piece
from jobs.fleet.kept import Kept
from jobs.fleet.reports import Finished, finished
from jobs.fleet.unwritten import Devices
from jobs.fleet.work import Unfinished
from jobs.sql.device_signature import Batch, Begun, Stepped, Taken, Tally

HOSTS = "abcd"


def devices_in_hand(*, ahead: bool = False) -> tuple[Devices, list[Piece]]:
    devices, ids = Devices(Kept(always=False)), range(1, 5)
    devices.take([Taken(id, host, 0, ahead=ahead) for id, host in zip(ids, HOSTS, strict=True)])
    devices.kept.took(ids, lasting=True)
    return devices, [Piece(lambda piece: None, id, host, host) for id, host in zip(ids, HOSTS, strict=True)]


def over(piece: Piece, *, taken_back: bool = False) -> Finished:
    piece.taken_back = taken_back
    return finished(piece, piece.host)


def test_what_became_of_each_device_is_written_once() -> None:
    devices, (a, b, c, d) = devices_in_hand()
    devices.became(a, over(a), step=0)
    devices.became(b, over(b, taken_back=True), step=0)
    devices.became(c, Unfinished.IN_STEP, step=0)
    devices.became(d, Unfinished.UNBEGUN, step=0)
    batch = devices.batch()
    assert [(one.id, one.taken_back) for one in batch.over] == [(1, False), (2, True)]
    assert (batch.stepped, batch.unbegun) == ([Stepped(3, 1)], [4])
    devices.written()
    assert not devices.has_news
    assert devices.batch() == Batch([], [Stepped(3, 1)], [], [])  # said again, in case that the database loses it
    assert [*devices.mine] == [id for id in range(5) if devices.kept.has(id)] == [3]


def test_of_many_that_wait_for_a_step_a_few_at_a_time_are_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    devices, pieces = devices_in_hand()
    for piece in pieces:
        devices.became(piece, Unfinished.IN_STEP, step=0)
    assert len(devices.batch().stepped) == len(HOSTS)
    devices.written()
    monkeypatch.setattr(unwritten, "_AT_A_TIME", 3)
    again = [[one.id for one in devices.batch().stepped] for _ in range(4)]
    assert again == [[1, 2, 3], [4], [1, 2, 3], [4]]


def test_of_few_devices_no_row_is_read_again_when_all_are_over() -> None:
    devices, (a, b, *_) = devices_in_hand()
    devices.became(b, over(b), step=0)
    devices.became(a, over(a, taken_back=True), step=0)
    tally = Tally(devices=2, over=2, failed=0, max_score=0, unreported=0, size=10)
    assert devices.result.text(7, HOSTS, tally) == '{"devices": {"a": "a", "b": "b"}}'


def test_many_long_reports_are_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    devices, pieces = devices_in_hand()
    monkeypatch.setattr(result, "COPIED_BYTES", 2 * len('"a"'))
    kept = []
    for piece in pieces:
        devices.became(piece, over(piece), step=0)
        kept.append(len(devices.result._reports or ()))
    assert kept == [1, 2, 0, 0]


@pytest.mark.parametrize("becomes", [None, Unfinished.IN_STEP, Unfinished.UNBEGUN])
def test_anything_that_becomes_of_a_device_is_news_until_it_is_written(becomes: Unfinished | None) -> None:
    devices, (piece, *_) = devices_in_hand()
    news = [devices.has_news]
    devices.became(piece, becomes or over(piece), step=0)
    news.append(devices.has_news)
    devices.written()
    assert [*news, devices.has_news] == [False, True, False]


def test_devices_that_were_taken_ahead_are_news_until_it_is_written_that_they_began() -> None:
    devices, (a, b, *others) = devices_in_hand(ahead=True)
    for piece in others:
        devices.became(piece, Unfinished.UNBEGUN, step=0)
    devices.became(a, over(a), step=0)
    devices.written()
    assert devices.has_news
    devices.in_progress([b])
    devices.written()
    assert not devices.has_news


def test_it_is_written_how_long_ago_those_began_that_are_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("jobs.fleet.unwritten.time.monotonic", lambda: now[0])
    devices, pieces = devices_in_hand(ahead=True)
    for piece, began in zip(pieces, (90.0, 95.0, 99.99, 90.0), strict=True):
        piece.begun_at = began
    devices.in_progress(pieces[:3])
    devices.became(pieces[0], over(pieces[0]), step=0)
    now[0] = 101.0
    assert devices.batch().begun == [Begun(2, 6.0)]  # the third has only begun
    devices.written()
    assert (devices.written_at, devices.batch().begun) == (101.0, [])
