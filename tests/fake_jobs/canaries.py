"""Jobs that leak what the environment's CANARIES contains, in every way that a body can."""

import asyncio
import json
import logging
import os
from typing import Any

from celery import shared_task

from jobs.task import JobContext, job

_LOG = logging.getLogger("a.library")


@job
def return_canaries(ctx: JobContext) -> Any:
    text = os.environ["CANARIES"]
    return [text, {"deep": [{text: text}]}, json.dumps(text), json.dumps(json.dumps(text)), repr(text)]


@job
def raise_canaries(ctx: JobContext, *, kind: str) -> None:
    """Raises an exception of this kind that says what the environment's CANARIES says."""
    text = os.environ["CANARIES"]
    match kind:
        case "message":
            raise ValueError(text)
        case "lines":
            raise RuntimeError("\n".join(text.split(" | ")), {"args": [text]})
        case "bytes":
            raise OSError(5, text.encode())
        case "chained":
            try:
                raise KeyError(text)
            except KeyError as exc:
                raise LookupError("it was not there") from exc
        case "group":
            raise ExceptionGroup(text, [ValueError(text), TypeError(text)])
        case "cancelled":
            raise asyncio.CancelledError(text)
        case _:
            raise KeyboardInterrupt(text)


@job
def log_canaries(ctx: JobContext) -> None:
    """As a driver's library may: in the text, the arguments, a traceback, and an object's words."""
    text = os.environ["CANARIES"]
    _LOG.warning("sent %s and %r", text, text.encode())
    try:
        raise OSError(5, text) from LookupError(text)
    except OSError:
        _LOG.exception("a step failed: %s", {"deep": [text]})


@shared_task
def plain_canaries(text: str | None = None, *, fail: bool = False) -> Any:
    """A Celery task that is not a job: Celery itself keeps what it returns or raises, and its arguments."""
    said = os.environ["CANARIES"]
    if fail:
        raise RuntimeError(said, {"deep": [said]}) from KeyError(said)
    return {"said": [said, json.dumps(said)]}
