"""Lists without a table: filters, order and pages of the inventory's devices, with the messages of the other lists."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rest_framework.request import Request

from cnaasjobs.api.columns import MAX_IN, MAX_TEXT, Column, Integer, Text
from cnaasjobs.api.filters import Asked, asked_filters, column_of
from cnaasjobs.api.pagination import NumberedPages

Row = Mapping[str, Any]


class AnyCase(Text):
    """Text that can also be asked for by ``ilike``, in any case, as existing front ends do."""

    operators = (*Text.operators, "ilike")


class Number(Integer):
    """A number that can only be compared; with ``equals`` too, as existing front ends do."""

    operators = (*Column.operators, "equals")


class PagesOfSequence(NumberedPages):
    """Pages of a sequence whose rows are already in memory."""

    def count(self, queryset: Any) -> int:
        return len(queryset)


def filtered(rows: Iterable[Row], asked: Iterable[Asked], view: Any) -> list[Row]:
    """The rows that pass all filters, in their order."""
    found = list(rows)
    for one in asked:
        holds = _predicate(one, view)
        found = [row for row in found if holds(row[one.field])]
    return found


def ordered(rows: Sequence[Row], field: str, *, descending: bool) -> list[Row]:
    """Ties keep their order. Unset values count as the greatest."""
    return sorted(rows, key=lambda row: (row[field] is None, row[field]), reverse=descending)


def asked_order(request: Request, view: Any) -> tuple[str, bool] | None:
    """``sort=field`` or ``sort=-field``."""
    asked = request.query_params.get("sort")
    if asked is None:
        return None
    field = asked.removeprefix("-").replace(".", "_")
    column_of(view, field)
    return field, asked.startswith("-")


def split_by(view: Any, request: Request, costly: str) -> tuple[list[Asked], list[Asked]]:
    """The filters on all other fields, and those on the one that is expensive to know."""
    asked = list(asked_filters(request, view))
    return [one for one in asked if one.field != costly], [one for one in asked if one.field == costly]


def _predicate(asked: Asked, view: Any) -> Callable[[Any], bool]:
    column, text = asked.column, asked.text
    try:
        match asked.operator:
            case "in":
                texts = text.split(",")
                if len(texts) > MAX_IN:
                    raise ValueError(f"must have at most {MAX_IN} items")
                among = {column.parse(part) for part in texts}
                return lambda value: value in among
            case "contains":
                if len(text) > MAX_TEXT:
                    raise ValueError(f"must have at most {MAX_TEXT} characters")
                part = text.lower()
                return lambda value: part in (value or "").lower()
            case "ilike":
                return lambda value: (value or "").lower() == text.lower()
            case operator:
                wanted = column.parse(text)
                return lambda value: (value == wanted) is (operator != "ne")
    except ValueError as exc:
        raise asked.refusal(view, exc) from exc
