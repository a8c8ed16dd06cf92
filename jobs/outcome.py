"""What a body hands back: its result as it will be stored, and what follows from it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Unpack

from cnaasjobs.conf import conf
from cnaasjobs.secrecy import mask_all, masker
from jobs.errors import ResultNotStorable
from jobs.schedulable import Schedulable, ScheduleOptions, checked_task, known

OF_DEVICES: Final = '{"devices": {'  # how a result that is made of the devices' reports begins
OF_NONE: Final = OF_DEVICES + "}}"  # such a result of a job that went through no device
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)  # json.dumps would make a new encoder each time


class NextJob:
    """A job to schedule in the transaction of this one's finish; ``next_job_id`` will point at it."""

    def __init__(self, *, task: Schedulable, kwargs: Mapping[str, Any], **options: Unpack[ScheduleOptions]) -> None:
        self.task = checked_task(task)
        self.kwargs = kwargs
        self.options = known(options)


@dataclass(frozen=True)
class JobResult:
    """A return value for a body that has more to tell than its result.

    ``result`` is anything that JSON can hold; ``change_score`` is an integer from 0 to 100.
    """

    result: Any = None
    change_score: int | None = None
    next_job: NextJob | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished body, ready to be stored: JSON texts."""

    result: str | None
    devices_bytes: int | None = None  # the result is made of the device rows when it is read, and has this many bytes
    change_score: int | None = None
    next_job: NextJob | None = None
    finished_devices: str | None = None


def outcome_of(returned: Any, *, finished_devices: str | None) -> Outcome:
    """Turn a body's return value into what is stored.

    Raises:
        ResultNotStorable: it holds bytes, NaN, a NUL, or anything else that JSON text in PostgreSQL cannot.
    """
    full = returned if isinstance(returned, JobResult) else JobResult(returned)
    score = full.change_score
    if score is not None and (type(score) is not int or not 0 <= score <= 100):
        raise ResultNotStorable(f"the change_score {score!r} is not an integer from 0 to 100")
    return Outcome(
        result=None if full.result is None else _as_text(full.result),
        change_score=score,
        next_job=full.next_job,
        finished_devices=finished_devices,
    )


def of_devices(reports: Iterable[tuple[str, str]]) -> str:
    """The result of a job that goes through devices, as JSON text: of hosts and the JSON texts of their reports."""
    hidden = masker()
    pairs = (f"{_ENCODER.encode(hidden(host))}: {report}" for host, report in reports)
    return f"{OF_DEVICES}{', '.join(pairs)}}}}}"


def _as_text(result: Any) -> str:
    if isinstance(result, bool | int | float):  # the API never shows a bare number or boolean
        result = {"message": _json(result)}
    return bounded_json(result, what="result")


def bounded_json(value: Any, *, what: str) -> str:
    """The same as ``storable_json``, of what a body or a device may have made as long as it likes."""
    text = storable_json(value, what=what)
    if len(text) > conf.result_max_mb * 1_000_000:
        size = len(text) / 1_000_000
        raise ResultNotStorable(
            f"the {what} has {size:.1f} MB, more than CNAASJOBS_RESULT_MAX_MB ({conf.result_max_mb:g})"
        )
    return text


def storable_json(value: Any, *, what: str, mask: Callable[[str], str] | None = None) -> str:
    """JSON text without secrets that every database here can hold.

    Args:
        mask: ``secrecy.masker()``, if it was asked for already.

    Raises ResultNotStorable, which says why it can't.
    """
    hidden = mask or masker()
    try:
        text = _with_nothing_to_hide(value, hidden) or _json(mask_all(value, hidden), what)
    except RecursionError as exc:
        raise ResultNotStorable(f"the {what} cannot be stored as JSON: it is too deep") from exc
    if "\\u0000" in text and "\x00" in _all_text(value):
        raise ResultNotStorable(f"the {what} contains a NUL character, which cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise ResultNotStorable(f"the {what} holds text that is not Unicode: {exc.reason}") from exc
    return text


def _with_nothing_to_hide(value: Any, mask: Callable[[str], str]) -> str | None:
    """The value as JSON text, if it contains no secret: then its dozens of parts need not be masked one by one.

    Where no part has a backslash, a secret in it is found in the whole too: the form that JSON gives it is among those
    that are looked for. What is found in the whole alone, such as the secret "false", the parts will show.
    """
    try:
        text = _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError):  # some of it can be stored nevertheless, such as any mapping
        return None
    return text if "\\\\" not in text and mask(text) == text else None


def _json(value: Any, what: str = "result") -> str:
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as exc:
        raise ResultNotStorable(f"the {what} cannot be stored as JSON: {exc}") from exc


def _all_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "".join(_all_text(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return "".join(_all_text(part) for part in value)
    return ""
