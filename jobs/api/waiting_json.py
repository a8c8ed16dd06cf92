"""What holds a job, and the locks with their lines, for the API."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from cnaasjobs.api.times import time_text
from jobs.waiting import lines
from jobs.waiting.progress import progress_of
from jobs.waiting.reasons import Reason
from jobs.waiting.why import holder_facts, in_line_facts


def reason_object(reason: Reason) -> dict[str, Any]:
    """``holds``, ``text`` and ``since``, and, depending on ``holds``, who or what it is."""
    return {
        "holds": reason.holds.value,
        "text": str(reason),
        "since": time_text(reason.since),
        **{name: _plain(value) for name, value in reason.facts.items()},
    }


def lock_objects() -> list[dict[str, Any]]:
    """Each lock that is held or waited for, with its holder and the first in its line."""
    return _objects(lines.all_lines())


def lock_objects_of(names: Collection[str]) -> list[dict[str, Any]]:
    """These locks, including free ones that nobody waits for."""
    return _objects(list(lines.lines_of(names).values()))


def _objects(found: Sequence[lines.Line]) -> list[dict[str, Any]]:
    progress = progress_of([each.holder.job_id for each in found if each.holder])
    return [
        {
            "name": each.name,
            "holder": _plain(holder_facts(each, progress)),
            "waiting": len(each.order),
            "line": [_plain(in_line_facts(one)) for one in each.first],
        }
        for each in found
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value
