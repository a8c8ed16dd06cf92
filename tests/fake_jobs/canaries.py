"""Jobs that leak what the environment's CANARIES contains, in every way that a body can."""

import asyncio
import json
import os
from typing import Any

from jobs.task import JobContext, job


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
