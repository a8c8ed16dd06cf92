"""The steps and the reason of a device can be stored, and contain no secrets."""

import json
import sys
from typing import Any

import pytest

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.fleet.hands import Piece
from jobs.fleet.reports import DeviceFailed, DeviceResult, finished, in_words
from jobs.models import JobDevice
from jobs.states import Status
from jobs.task import JobContext, job
from jobs.testing import perform_job

SECRET = "verysecretcommunity"


class CannotBeShown(Exception):
    def __str__(self) -> str:
        sys.exit(3)


@job
def says(ctx: JobContext) -> None:
    def one(device: str) -> str:
        ctx.about_to(f"set {SECRET}", if_lost=f"it may have {SECRET}")
        if device == "fails":
            raise DeviceFailed(f"it refused {SECRET}")
        if device == "breaks":
            raise CannotBeShown
        return SECRET

    ctx.about_to("begin")  # outside of a device it is a safe point like any other
    ctx.each(["works", "fails", "breaks"], one)
    ctx.about_to("end")


@pytest.mark.django_db(transaction=True)
def test_a_secret_is_in_nothing_that_is_said_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_SNMP", SECRET)
    ended = perform_job(says)
    assert ended.status == Status.FINISHED
    assert SECRET not in (ended.outcome.result or "")
    said = JobDevice.objects.filter(job=ended).order_by("place").values_list("step", "if_lost", "reason", "report")
    assert [bool(reason) for _, _, reason, _ in said] == [False, True, True]
    for texts in said:
        assert SECRET not in " ".join(filter(None, texts))


@pytest.mark.django_db(transaction=True)
def test_an_exception_that_cannot_be_shown_is_its_device_s_failure(heard: list[Event]) -> None:
    ended = perform_job(says)
    assert JobDevice.objects.get(job=ended, host="breaks").reason == "CannotBeShown that can't be shown (SystemExit)"
    assert [event.fields["host"] for event in heard if event.action is JobAction.DEVICE_FAILED] == ["breaks"]


def test_what_a_device_said_is_told_without_what_no_database_takes() -> None:
    """A device may send anything, and why it failed should not be lost with it."""
    piece = Piece(lambda piece: None, 1, "a", "a")
    over = finished(piece, DeviceFailed("refused\x00\ud800"))
    assert (over.reason or "").startswith("refused")
    assert json.loads(over.report) == {"failed": True, "reason": over.reason}
    assert "\x00" not in (finished(piece, DeviceResult(report="r", failed="refused\x00")).reason or "")


@pytest.mark.parametrize("score", [0, 100])
def test_what_is_said_of_a_device_is_kept_whether_it_failed_or_not(score: int) -> None:
    more: dict[str, Any] = {"change_score": score, "memo": {"seen": 1}}
    for said in (DeviceFailed("no", **more), DeviceResult(report="r", **more)):
        over = finished(Piece(lambda piece: None, 1, "a", "a"), said)
        assert (over.change_score, over.memo) == (score, '{"seen": 1}')


def test_an_exception_is_told_in_one_line() -> None:
    told = [in_words(exc) for exc in (ValueError("two\n lines"), ValueError(), DeviceFailed("no"))]
    assert told == ["ValueError: two lines", "ValueError", "DeviceFailed: no"]
