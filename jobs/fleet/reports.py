"""What a function returns for its device, and what is stored of it."""

import time
from dataclasses import dataclass
from typing import Any

from cnaasjobs.secrecy import mask, storable
from jobs.errors import ResultNotStorable
from jobs.fleet.hands import Piece
from jobs.outcome import bounded_json
from jobs.sql.device_signature import Over

_REASON_LENGTH = 1000


class DeviceFailed(Exception):
    """Raised for a device: it failed, and the others go on.

    ``report`` is anything JSON holds; without one the report is ``{"failed": true, "reason": …}``.
    """

    def __init__(self, reason: str, *, report: Any = None, change_score: int | None = None, memo: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.report = report
        self.change_score = change_score
        self.memo = memo


@dataclass(frozen=True, kw_only=True)
class DeviceResult:
    """What a function may return in place of a bare report.

    Attributes:
        report: anything JSON holds.
        failed: why it failed, as text; None if it did not.
        change_score: 0 to 100.
        changed: whether the device would be changed, or was; None does not say.
        memo: kept with the device's row for a later job, never shown: anything JSON holds.
    """

    report: Any
    failed: str | None = None
    change_score: int | None = None
    changed: bool | None = None
    memo: Any = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished device: JSON texts, without secrets."""

    id: int
    host: str
    reason: str | None  # why it failed
    change_score: int | None
    changed: bool | None
    report: str
    memo: str | None
    at: float  # monotonic
    begun_at: float
    taken_back: bool  # the job was stopped while it was in progress

    def stored(self, now: float) -> Over:
        return Over(
            id=self.id,
            failed=self.reason is not None,
            reason=self.reason,
            change_score=self.change_score,
            report=self.report,
            memo=self.memo,
            changed=self.changed,
            taken_back=self.taken_back,
            age=now - self.at,
            begun_age=now - self.begun_at,
        )


def finished(piece: Piece, returned: Any) -> Finished:
    """Made from what a function returned for this device, or from the DeviceFailed that it raised. Raises nothing.

    What cannot be stored is a failure.
    """
    try:
        return _finished(piece, _as_result(returned))
    except ResultNotStorable as exc:
        return _finished(piece, _as_result(DeviceFailed(str(exc))))
    except Exception as exc:  # noqa: BLE001  objects of any class, and what these do
        why = f"what was returned for it cannot be stored ({type(exc).__name__})"
        return _finished(piece, _as_result(DeviceFailed(why)))


def in_words(exc: BaseException) -> str:
    """Its class and its text, in one line."""
    try:
        text = " ".join(str(exc).split())
    except BaseException as broken:  # noqa: BLE001  the author of an exception's class may do anything in it
        return f"{type(exc).__name__} that can't be shown ({type(broken).__name__})"
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _as_result(returned: Any) -> DeviceResult:
    if isinstance(returned, DeviceFailed):
        given: Any = returned.reason  # an author may pass on an exception, or any other object
        reason = in_words(given) if isinstance(given, BaseException) else str(given)
        report = returned.report
        if report is None:
            report = {"failed": True, "reason": storable(reason)}
        return DeviceResult(report=report, failed=reason, change_score=returned.change_score, memo=returned.memo)
    return returned if isinstance(returned, DeviceResult) else DeviceResult(report=returned)


def _finished(piece: Piece, result: DeviceResult) -> Finished:
    score = result.change_score
    if score is not None and (type(score) is not int or not 0 <= score <= 100):
        raise ResultNotStorable(f"the change_score {score!r} is not an integer from 0 to 100")
    if not isinstance(result.failed, str | None):
        raise ResultNotStorable(f"failed is {result.failed!r:.100}, and must be text that says why, or None")
    if not isinstance(result.changed, bool | None):
        raise ResultNotStorable(f"changed is {result.changed!r:.100}, and must be true, false or None")
    return Finished(
        id=piece.id,
        host=piece.host,
        reason=None if result.failed is None else storable(mask(result.failed))[:_REASON_LENGTH],
        change_score=score,
        changed=result.changed,
        report=bounded_json(result.report, what=f"report of {piece.host}"),
        memo=None if result.memo is None else bounded_json(result.memo, what=f"memo of {piece.host}"),
        at=time.monotonic(),
        begun_at=piece.begun_at,
        taken_back=piece.taken_back,
    )
