"""What each term of a search means, as a condition on jobs.

All terms of a search must hold. Values with commas between them are alternatives.
"""

import operator
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Final

from django.db.models import Q

from cnaasjobs.db import lookups  # noqa: F401  (registers contains_any_case)
from jobs.models import JobDevice
from jobs.search.grammar import NoValueError, SearchError, Term, terms_of
from jobs.sql.waiting import waiting
from jobs.states import Status

_TEXTS: Final = ("function_name", "comment", "ticket_ref", "scheduled_by")
_NAMES: Final = frozenset({"device", "by", "ticket", "lock"})
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SINCE: Final = re.compile(r"(\d{1,5})([smhdw])")
_SCORE: Final = re.compile(r"(>=|<=|>|<|)(\d{1,3})")
_COMPARED: Final = {"": "", ">": "__gt", ">=": "__gte", "<": "__lt", "<=": "__lte"}

_BETWEEN_NAMES: Final = re.compile(r"[\s,;]+")

Meaning = Callable[[str, datetime], Q]


def condition_of(text: str, *, now: datetime) -> Q:
    """Raises SearchError: it has a qualifier that does not exist, or a value that it cannot have."""
    return reduce(operator.and_, (_meaning(term, now) for term in terms_of(text)), Q())


def id_of(text: str) -> int | None:
    """The job's number, if the text is just a number, or one as pages write it: #4711."""
    text = text.strip().removeprefix("#")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**63 else None


def names_in(text: str) -> list[str]:
    """The names in a list of devices, with what stands between them in a mail, a spreadsheet or on a command line."""
    return [name for name in dict.fromkeys(_BETWEEN_NAMES.split(text)) if name]


def _meaning(term: Term, now: datetime) -> Q:
    if term.name is None:
        return _text(term.value)
    meaning = QUALIFIERS.get(term.name)
    if meaning is None:
        raise SearchError(
            f"there is no {term.name}:, only {', '.join(f'{name}:' for name in QUALIFIERS)}; "
            f'put text with a colon in quotation marks: "{term.name}:{term.value}"'
        )
    return reduce(operator.or_, (meaning(value, now) for value in _alternatives(term)))


def _alternatives(term: Term) -> list[str]:
    """The values between the commas. A name may contain a comma, so for names the whole value is one of them too."""
    values = names_in(term.value) if term.name == "device" else [value for value in term.value.split(",") if value]
    if not values:
        raise NoValueError(term.name or "")
    return [*values, term.value] if term.name in _NAMES and values != [term.value] else values


def _text(value: str) -> Q:
    return reduce(operator.or_, (Q(**{f"{field}__contains_any_case": value}) for field in _TEXTS))


def _status(value: str, now: datetime) -> Q:
    if value.upper() not in list(Status):
        raise SearchError(f"there is no status:{value}, only {', '.join(status.lower() for status in Status)}")
    return waiting() if value.upper() == Status.SCHEDULED else Q(status=value.upper())


def _function(value: str, now: datetime) -> Q:
    return Q(function_name__contains_any_case=value)


def _device(value: str, now: datetime) -> Q:
    return Q(pk__in=JobDevice.objects.filter(host=value).order_by().values("job_id"))


def _score(value: str, now: datetime) -> Q:
    match = _SCORE.fullmatch(value)
    if match is None:
        raise SearchError(f"score:{value} is not a score: write it as score:20, score:>20 or score:<=5")
    return Q(**{f"change_score{_COMPARED[match[1]]}": int(match[2])})


def _since(value: str, now: datetime) -> Q:
    """Jobs that have ended since then, or have not ended yet."""
    return Q(finish_time__gte=_moment(value, now)) | Q(finish_time__isnull=True)


def _moment(value: str, now: datetime) -> datetime:
    if match := _SINCE.fullmatch(value):
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        words = f"since:{value} is not a time: write it as since:30m, since:24h or since:2026-11-24"
        raise SearchError(words) from exc


QUALIFIERS: Final[Mapping[str, Meaning]] = {
    "status": _status,
    "function": _function,
    "device": _device,
    "by": lambda value, now: Q(scheduled_by=value),
    "ticket": lambda value, now: Q(ticket_ref=value),
    "lock": lambda value, now: Q(lock_name=value),
    "score": _score,
    "since": _since,
}
