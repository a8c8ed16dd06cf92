"""Rows that django-celery-beat's forms would refuse are still read and shown, and fail only when they are used.

An import, a hand-written statement or a machine that knows more time zones may have written them. One such row must not
keep the others from firing, nor break the page where it can be corrected.
"""

from datetime import datetime, timedelta, tzinfo
from typing import Any, NoReturn

from django_celery_beat.models import CrontabSchedule


class UnknownZone(tzinfo):
    """A time zone that this machine does not know, by the name in the row. Asking it for a time raises an error."""

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
        raise ValueError(f"this machine does not know the time zone {self._name}")


def install() -> None:
    """Call once, when the models exist."""
    field: Any = CrontabSchedule._meta.get_field("timezone")
    known = field._get_python_and_db_repr  # in both directions, for new rows too; the forms validate as well

    def both(value: Any) -> tuple[tzinfo | None, str]:
        if isinstance(value, UnknownZone):
            return value, str(value)
        try:
            found: tuple[tzinfo | None, str] = known(value)
        except Exception:  # noqa: BLE001  whatever the look-up raises: the name of a directory raises OSError
            return UnknownZone(str(value)), str(value)
        return found

    in_words = CrontabSchedule.human_readable.fget

    def human_readable(row: CrontabSchedule) -> str:
        try:
            return str(in_words(row))
        except Exception:  # noqa: BLE001  an invalid crontab cannot be described
            return str(row)

    field._get_python_and_db_repr = both
    CrontabSchedule.human_readable = property(human_readable)
