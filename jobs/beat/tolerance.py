"""What django-celery-beat's tables hold past its forms is read and shown all the same, and is broken only when used.

An import, a statement by hand or a machine that knows more time zones may have written it. One such row must not keep
the others from firing, nor its own page from showing it, where it is mended.
"""

from datetime import datetime, timedelta, tzinfo
from typing import Any, NoReturn

from django_celery_beat.models import CrontabSchedule


class UnknownZone(tzinfo):
    """A time zone that this machine does not know, by the name that the row has. Whoever asks it for a time is told."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return self._name

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        self._refuse()

    def dst(self, _: datetime | None) -> timedelta | None:
        self._refuse()

    def tzname(self, _: datetime | None) -> str | None:
        return self._name

    def _refuse(self) -> NoReturn:
        raise ValueError(f"this machine knows no time zone {self._name}")


def install() -> None:
    """Once, when the models exist."""
    field: Any = CrontabSchedule._meta.get_field("timezone")
    known = field._get_python_and_db_repr  # both ways, also of a row that is made: its forms validate besides

    def both(value: Any) -> tuple[tzinfo | None, str]:
        if isinstance(value, UnknownZone):
            return value, str(value)
        try:
            found: tuple[tzinfo | None, str] = known(value)
        except Exception:  # noqa: BLE001  whatever the name makes the look-up raise: a folder's name is an OSError
            return UnknownZone(str(value)), str(value)
        return found

    in_words = CrontabSchedule.human_readable.fget

    def human_readable(row: CrontabSchedule) -> str:
        try:
            return str(in_words(row))
        except Exception:  # noqa: BLE001  no words for what is no crontab
            return str(row)

    field._get_python_and_db_repr = both
    CrontabSchedule.human_readable = property(human_readable)
