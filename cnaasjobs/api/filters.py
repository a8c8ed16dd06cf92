"""DRF filter backends: ``filter[field][operator]=value`` and ``sort=-field``, over a view's declared ``columns``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from django.db.models import F, QuerySet
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.views import APIView

from cnaasjobs.api.columns import Column
from cnaasjobs.api.errors import BadRequest

MAX_CONTAINS = 3
MAX_FILTERS = 50  # databases limit the size of one condition

NAME = re.compile(r"filter\[([^\[\]]*)\](?:\[([^\[\]]*)\])?")


class HasColumns(Protocol):
    """A view that can be filtered and sorted."""

    collection: str
    columns: Mapping[str, Column]


def refusal(view: Any, reason: str) -> BadRequest:
    """A 400 whose message begins with the words that clients of the list already know."""
    return BadRequest(f"Unable to filter {view.collection}: {reason}")


def quoted(text: str) -> str:
    """A client's own text inside a message: without NUL, and cut to a short length."""
    text = text.replace("\x00", "\N{SYMBOL FOR NULL}")
    return repr(text if len(text) <= 100 else f"{text[:100]}…")


class ColumnFilter(BaseFilterBackend):
    """Every ``filter[…]`` parameter narrows the result; repeating one narrows it again."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        for asked in asked_filters(request, view):
            try:
                queryset = queryset.filter(asked.column.condition(asked.field, asked.operator, asked.text))
            except ValueError as exc:
                raise asked.refusal(view, exc) from exc
        return queryset


@dataclass(frozen=True)
class Asked:
    """One filter of a request, its field and operator known to exist."""

    field: str
    column: Column
    operator: str  # empty: equals
    text: str

    def refusal(self, view: Any, exc: ValueError) -> BadRequest:
        return refusal(view, f"value {quoted(self.text)} for {self.field}: {exc}")


def asked_filters(request: Request, view: Any) -> Iterator[Asked]:
    """Every ``filter[…]`` parameter of the request."""
    asked = [pair for pair in _parameters(request, view) if pair[0] == "filter" or pair[0].startswith("filter[")]
    if len(asked) > MAX_FILTERS:
        raise refusal(view, f"more than {MAX_FILTERS} filters")
    if sum(name.endswith("[contains]") for name, _ in asked) > MAX_CONTAINS:
        raise refusal(view, f"more than {MAX_CONTAINS} filters with contains: each reads all rows")
    for name, text in asked:
        match = NAME.fullmatch(name)
        if match is None:
            raise refusal(view, f"{quoted(name)} is not of the form filter[field] or filter[field][operator]")
        field, operator = match.group(1).replace(".", "_"), match.group(2)
        column = column_of(view, field)
        if operator == "" or (operator or "") not in column.operators:
            allowed = ", ".join(filter(None, column.operators))
            raise refusal(view, f"operator {quoted(operator or '')} cannot be used on {field}, only {allowed}")
        yield Asked(field, column, operator or "", text)


class ColumnSort(BaseFilterBackend):
    """``sort=field`` or ``sort=-field``, ties by id; by id without it. Unset values count as the greatest.

    A view may say in ``ties`` how its rows are sorted by id.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: APIView) -> QuerySet[Any]:
        asked, ties = request.query_params.get("sort"), getattr(view, "ties", "id")
        if asked is None:
            return queryset.order_by(ties)
        field = asked.removeprefix("-").replace(".", "_")
        column_of(view, field)
        descending = asked.startswith("-")
        if field == "id":
            return queryset.order_by("-id" if descending else "id")
        key = F(field).desc(nulls_first=True) if descending else F(field).asc(nulls_last=True)
        return queryset.order_by(key, ties)


def _parameters(request: Request, view: Any) -> Iterator[tuple[str, str]]:
    for name, texts in request.query_params.lists():
        for text in texts:
            if "\x00" in name or "\x00" in text:
                raise refusal(view, f"{quoted(name)} contains a NUL character")
            yield name, text


def column_of(view: Any, field: str) -> Column:
    column: Column | None = view.columns.get(field)
    if column is None:
        raise refusal(view, f"unknown field {quoted(field)}, must be one of {', '.join(view.columns)}")
    return column
