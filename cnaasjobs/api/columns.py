"""What clients may filter and sort by: an object for each plain column, with its operators and values."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from django.db.models import Q

from cnaasjobs.api.times import parse_time, times_beginning
from cnaasjobs.db import lookups  # noqa: F401  (registers contains_any_case)

SMALL, BIG = 2**15, 2**63
MAX_IN = 500
MAX_TEXT = 1000

ORDERED = ("gt", "gte", "lt", "lte")


class Column:
    """A column by name.

    ``parse`` turns a client's text into a value, or raises ValueError, which says what it must be.
    """

    operators: ClassVar[tuple[str, ...]] = ("", "ne", "in")

    def parse(self, text: str) -> object:
        raise NotImplementedError

    def condition(self, column: str, operator: str, text: str) -> Q:
        if operator == "in":
            texts = text.split(",")
            if len(texts) > MAX_IN:
                raise ValueError(f"must have at most {MAX_IN} items")
            return Q(**{f"{column}__in": [self.parse(part) for part in texts]})
        if operator == "ne":
            return ~Q(**{column: self.parse(text)})  # an unset value is not equal either
        return Q(**{f"{column}__{operator}" if operator else column: self.parse(text)})


class Integer(Column):
    """Integers within the range of the database column."""

    operators = (*Column.operators, *ORDERED)

    def __init__(self, *, bound: int = BIG) -> None:
        self.bound = bound

    def parse(self, text: str) -> int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError("must be an integer")
        if len(digits) > 25 or not -self.bound <= int(text) < self.bound:
            raise ValueError(f"must be an integer from {-self.bound} to {self.bound - 1}")
        return int(text)


class Text(Column):
    operators = (*Column.operators, "contains")

    def parse(self, text: str) -> str:
        return text

    def condition(self, column: str, operator: str, text: str) -> Q:
        if operator == "contains":
            if len(text) > MAX_TEXT:
                raise ValueError(f"must have at most {MAX_TEXT} characters")
            return Q(**{f"{column}__contains_any_case": text})
        return super().condition(column, operator, text)


class Choice(Text):
    """A column that holds one of a few words. A request may write them in upper or lower case."""

    def __init__(self, words: Iterable[str], *, stored_as: Callable[[str], str] = str.upper) -> None:
        self.words = tuple(words)
        self.stored_as = stored_as

    def parse(self, text: str) -> str:
        word = self.stored_as(text)
        if word not in self.words:
            raise ValueError(f"must be one of {', '.join(self.words)}")
        return word


class YesNo(Column):
    """True or false, in any case."""

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word not in ("true", "false"):
            raise ValueError("must be true or false")
        return word == "true"


class Time(Column):
    operators = (*Column.operators, *ORDERED, "contains")

    def parse(self, text: str) -> object:
        return parse_time(text)

    def condition(self, column: str, operator: str, text: str) -> Q:
        if operator != "contains":
            return super().condition(column, operator, text)
        if not text:
            return Q(**{f"{column}__isnull": False})
        first, last = times_beginning(text)
        return Q(**{f"{column}__gte": first, f"{column}__lte": last})
