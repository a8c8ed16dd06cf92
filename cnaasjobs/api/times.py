"""Times as the API writes and reads them: UTC, ISO 8601, always six digits of microseconds, no offset."""

import re
from calendar import monthrange
from datetime import UTC, datetime

FULL = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,6})?)?([Zz]|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)
BEGINNING = re.compile(
    r"\d{0,4}|\d{4}-\d{0,2}|\d{4}-\d\d-\d{0,2}|\d{4}-\d\d-\d\d[T ]\d{0,2}|\d{4}-\d\d-\d\d[T ]\d\d:\d{0,2}"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d{0,2}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{0,6}",
    re.ASCII,
)
# Year, month, day, hour, minute, second, microsecond: width, least, greatest.
PARTS = ((4, 1, 9999), (2, 1, 12), (2, 1, 31), (2, 0, 23), (2, 0, 59), (2, 0, 59), (6, 0, 999_999))


def time_text(moment: datetime | None) -> str | None:
    """``2019-12-05T13:06:03.319761``; None stays null."""
    if moment is None:
        return None
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # A page of jobs has 150 times. Formatting one takes half as long without an offset and without ``timespec``.
    text = moment.replace(tzinfo=None).isoformat()
    return text if moment.microsecond else f"{text}.000000"


def parse_time(text: str) -> datetime:
    """A date or a time in ISO 8601, with "T" or a space between them, as an aware UTC time. Without an offset it is
    UTC.

    Raises:
        ValueError: it is neither.
    """
    if not FULL.fullmatch(text):
        raise ValueError("must be a time like 2019-12-05T13:06:03.319761")
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise ValueError("must be a time that exists, like 2019-12-05T13:06:03.319761") from exc


def times_beginning(text: str) -> tuple[datetime, datetime]:
    """The first and the last time whose text begins like this, such as ``2026-11`` or ``2026-11-24 13:0``.

    Raises:
        ValueError: no time begins like this.
    """
    if not BEGINNING.fullmatch(text):
        raise ValueError("must be the beginning of a time like 2019-12-05T13:06:03.319761")
    given = [*re.split(r"[-T :.]", text), *[""] * len(PARTS)]
    first: list[int] = []
    last: list[int] = []
    for digits, (width, least, greatest) in zip(given, PARTS, strict=False):
        if len(first) == 2:
            greatest = monthrange(last[0], last[1])[1]  # the month's own
        low = max(least, int(digits.ljust(width, "0")))
        high = min(greatest, int(digits.ljust(width, "9")))
        if low > high:
            raise ValueError("must be the beginning of a time that exists")
        first.append(low)
        last.append(high)
    return _utc(first), _utc(last)


def _utc(parts: list[int]) -> datetime:
    year, month, day, hour, minute, second, microsecond = parts
    return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
