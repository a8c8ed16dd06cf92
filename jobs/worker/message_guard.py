"""What a worker accepts from its queues: messages of jobs as ``jobs.broker.publisher`` makes them, and nothing else.

Anyone who can write to the broker can put anything into a queue. Celery itself calls whatever the message names
(``celery.group``, callbacks, chains), unpacks what is compressed, and lets a header of the wrong type end the worker.
So each message is checked before Celery or kombu see it: as bytes and a plain table of headers, nothing unpacked. A
refused message is rejected and not queued again. It is counted, and logged once a minute for each reason.
"""

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cnaasjobs.nesting import TOO_DEEP, is_too_deep
from cnaasjobs.secrecy import storable
from jobs.states import JOIN

MAX_BODY_BYTES: Final = 4096
_MAX_TEXT: Final = 255
_MAX_JOB_ID: Final = 2**63 - 1
_MAX_RETRIES: Final = 10_000


class Refusal(Exception):
    """Why a message is refused. The text is one of a few, and contains nothing from the message."""


class UnknownTask(Refusal):
    """Well-formed, but its task is not registered here. ``job_id`` is None where it may not be a job's."""

    def __init__(self, task: str, job_id: int | None) -> None:
        super().__init__("it names a task that is not registered here")
        self.task = task
        self.job_id = job_id


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it arrived, before anything has read it."""

    body: bytes
    headers: Any
    content_type: Any
    content_encoding: Any


def check(message: Received, *, jobs: Container[str], plain_tasks: Container[str]) -> None:
    """Return if a worker may accept the message; otherwise raise.

    Args:
        jobs: names of the registered jobs.
        plain_tasks: names of the Celery tasks that are not jobs but may be called.

    Raises:
        Refusal: it may not.
    """
    task = _checked_headers(message)
    args, kwargs = _checked_body(message)
    if task in jobs:
        _one_job(args, kwargs)
        if message.headers.get("eta") is not None:  # a worker would keep it until then, unacknowledged
            raise Refusal("it asks a worker to hold it until later, as no message of a job does")
    elif task not in plain_tasks:
        job_id = args[0] if len(args) == 1 and _is_job_id(args[0]) and not kwargs else None
        raise UnknownTask(task, job_id)


# --- headers ----------------------------------------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT and storable(value) == value


def _is_name(value: Any) -> bool:
    return _is_text(value) and value != ""


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return _is_text(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MAX_RETRIES


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_nothing(value: Any) -> bool:
    """Embedded parts of Celery's canvas, and time limits: a job's limits are in its declaration."""
    return value is None or value in ([], {}, [None, None])


def _or_none(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or test(value)


# Everything that version 2 of Celery's protocol writes, and what Beat adds to a plain task's message. No other passes.
_HEADERS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "task": _is_name,
    "id": _is_name,
    "lang": _is_text,
    "shadow": _is_nothing,
    "eta": _or_none(_is_time),
    "expires": _or_none(_is_time),
    "group": _is_nothing,
    "group_index": _is_nothing,
    "retries": _or_none(_is_count),
    "timelimit": _is_nothing,
    "root_id": _or_none(_is_text),
    "parent_id": _or_none(_is_text),
    "argsrepr": _or_none(_is_text),
    "kwargsrepr": _or_none(_is_text),
    "origin": _or_none(_is_text),
    "ignore_result": _or_none(_is_flag),
    "replaced_task_nesting": _or_none(_is_count),
    "stamped_headers": _is_nothing,
    "stamps": _is_nothing,
    "x-delivery-count": _is_count,  # a quorum queue says how often it has delivered it
    "redelivered": _is_flag,  # and kombu that it puts it back into Redis
    "periodic_task_name": _is_text,
    "celery_beat_task": _is_flag,
}


def _checked_headers(message: Received) -> str:
    headers = message.headers
    if not isinstance(headers, Mapping):
        raise Refusal("its headers are not a table")
    if "compression" in headers:
        raise Refusal("it is compressed")
    for name, value in headers.items():
        test = _HEADERS.get(name) if isinstance(name, str) else None
        if test is None:
            raise Refusal("it has a header that messages of jobs do not have")
        if not test(value):
            raise Refusal("one of its headers has a value that messages of jobs do not have")
    if "task" not in headers or "id" not in headers:
        raise Refusal("it names no task, or has no id")
    return str(headers["task"])


# --- body -------------------------------------------------------------------------------------------------------------


def _checked_body(message: Received) -> tuple[list[Any], dict[str, Any]]:
    if len(message.body) > MAX_BODY_BYTES:
        raise Refusal(f"it is longer than {MAX_BODY_BYTES} bytes")
    if message.content_type != "application/json" or str(message.content_encoding).lower() not in ("utf-8", "utf8"):
        raise Refusal("it is not JSON in UTF-8")
    try:
        parsed = json.loads(message.body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refusal("it is not JSON in UTF-8") from None
    if is_too_deep(parsed):
        raise Refusal(f"it is {TOO_DEEP}")
    if not isinstance(parsed, list) or len(parsed) != 3:
        raise Refusal("its body is not the body of a task")
    args, kwargs, embeds = parsed
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(embeds, dict):
        raise Refusal("its body is not the body of a task")
    if any(value is not None for value in embeds.values()):
        raise Refusal("it asks for other tasks to be called")
    return args, kwargs


def _one_job(args: list[Any], kwargs: dict[str, Any]) -> None:
    if kwargs or not args or not _is_job_id(args[0]) or args[1:] not in ([], [JOIN]):
        raise Refusal("its arguments are not the number of one job")


def _is_job_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= _MAX_JOB_ID
