"""Filters that do not ask the database for a list of values: known values to click, any other to type."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from django.contrib import messages
from django.contrib.admin import ListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime

SHOWN_VALUES: Final = 12


class ParameterFilter(ListFilter):
    """Takes its parameters out of the query string, and keeps the others in its form."""

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.expected_parameters():
            if name in params:
                given = str(params.pop(name)[-1]).strip()
                if given:
                    self.used_parameters[name] = given
        self.hidden: list[tuple[str, str]] = []

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        own: list[Any] = self.expected_parameters()
        self.hidden = [(name, value) for name, value in changelist.params.items() if name not in own]
        yield {
            "selected": not self.used_parameters,
            "query_string": changelist.get_query_string(remove=own),
            "display": "All",
        }
        for display, values in self.offers():
            yield {
                "selected": values == self.used_parameters,
                "query_string": changelist.get_query_string(values, remove=own),
                "display": display,
            }

    def offers(self) -> Iterator[tuple[str, dict[str, str]]]:
        """One choice to click: its label, and the parameters that it sets."""
        raise NotImplementedError


class ValueFilter(ParameterFilter):
    """One value of a column."""

    template = "admin/jobs/value_filter.html"
    field: ClassVar[str]
    rest: Sequence[str] = ()  # known values, offered while typing

    def expected_parameters(self) -> list[Any]:
        return [self.field]

    @property
    def value(self) -> str:
        return str(self.used_parameters.get(self.field, ""))

    def known(self) -> Sequence[str]:
        """Values worth offering, from small sources: code, settings, live workers."""
        raise NotImplementedError

    def offers(self) -> Iterator[tuple[str, dict[str, str]]]:
        known = list(dict.fromkeys(self.known()))
        self.rest = known[SHOWN_VALUES:]
        del known[SHOWN_VALUES:]
        if self.value and self.value not in known:
            known.append(self.value)
        for value in known:
            yield value, {self.field: value}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.field: self.value}) if self.value else queryset


class TimeFilter(ParameterFilter):
    """A filter by time: between two times in UTC, or since some hours ago."""

    template = "admin/jobs/time_filter.html"
    field: ClassVar[str]

    SINCE: Final = {"1h": "Past hour", "24h": "Past 24 hours", "7d": "Past 7 days"}
    _UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1)}

    def expected_parameters(self) -> list[Any]:
        return [f"{self.field}_from", f"{self.field}_to"]

    def offers(self) -> Iterator[tuple[str, dict[str, str]]]:
        for since, words in self.SINCE.items():
            yield words, {f"{self.field}_from": since}

    @property
    def bounds(self) -> list[tuple[str, str, str]]:
        """Name, label and value of the two inputs."""
        return [
            (name, words, self._as_input(str(self.used_parameters.get(name, ""))))
            for name, words in zip(self.expected_parameters(), ("from", "to"), strict=True)
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        for name, lookup in zip(self.expected_parameters(), ("gte", "lt"), strict=True):
            given = str(self.used_parameters.get(name, ""))
            if not given:
                continue
            when = self._parsed(given)
            if when is None:
                messages.error(request, f"{given!r} is not a time; write it as 2026-11-24T13:06")
            else:
                queryset = queryset.filter(**{f"{self.field}__{lookup}": when})
        return queryset

    def _parsed(self, given: str) -> datetime | None:
        if given in self.SINCE:
            return timezone.now() - int(given[:-1]) * self._UNITS[given[-1]]
        try:
            when = parse_datetime(given)
        except ValueError:
            return None
        if when is None or when.tzinfo is None:
            return when and when.replace(tzinfo=UTC)
        return when

    def _as_input(self, given: str) -> str:
        when = self._parsed(given) if given and given not in self.SINCE else None
        return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S}" if when else ""
