"""The paginator by itself, as any view of any table may use it."""

from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from cnaasjobs.api.description import Described
from cnaasjobs.api.filters import ColumnFilter, ColumnSort
from cnaasjobs.api.pagination import NumberedPages
from cnaasjobs.api.views import ApiViewSet
from jobs.models import AuditEntry
from tests.factory import audit_entries

pytestmark = pytest.mark.django_db


class _Entries(ApiViewSet):
    collection = "entries"
    pagination_class = NumberedPages
    permissions_required = {"GET": "jobs.view_auditentry"}
    described = {"list": Described(summary="Entries", answer={}, pages=True)}

    def list(self, request: Request) -> Any:
        rows = self.paginate_queryset(AuditEntry.objects.order_by("id").values_list("id", flat=True))
        return self.get_paginated_response({"entries": rows})


def _get(query: str, *, view: type[ApiViewSet] = _Entries) -> Any:
    return view.as_view({"get": "list"})(APIRequestFactory().get(f"/api/v1.0/entries?{query}"))


def test_links_that_a_proxy_would_refuse_are_left_out() -> None:
    audit_entries(range(1, 8))
    assert "Link" in _get("per_page=3&who=" + "b" * 300).headers
    answer = _get("per_page=3&who=" + "b" * 900)
    assert "Link" not in answer.headers
    assert answer.headers["X-Total-Count"] == "7"


def test_a_page_its_total_and_its_links() -> None:
    audit_entries(range(1, 8))
    answer = _get("per_page=3&page=2&who=bob")
    assert answer.data == {"status": "success", "data": {"entries": [4, 5, 6]}}
    assert answer.headers["X-Total-Count"] == "7"
    base = "http://testserver/api/v1.0/entries?per_page=3&who=bob&page"
    wanted = {"first": 1, "prev": 1, "next": 3, "last": 3}
    assert answer.headers["Link"] == ", ".join(f'<{base}={page}>; rel="{name}"' for name, page in wanted.items())


def test_a_first_page_that_holds_all_asks_once() -> None:
    audit_entries(range(1, 4))
    with CaptureQueriesContext(connection) as queries:
        assert _get("").headers["X-Total-Count"] == "3"
    assert sum("jobs_auditentry" in query["sql"] for query in queries) == 1


def test_a_view_may_know_a_faster_way() -> None:
    asked = []

    class Quick(NumberedPages):
        def count(self, queryset: QuerySet[Any, Any]) -> int:
            return 1_000_000

        def window(self, queryset: QuerySet[Any, Any], start: int, size: int, total: int) -> QuerySet[Any, Any]:
            asked.append((start, size, total))
            return queryset.filter(pk=2)

    class View(_Entries):
        pagination_class = Quick

    audit_entries(range(1, 4))
    answer = _get("per_page=10&page=70000", view=View)
    assert answer.data["data"] == {"entries": [2]}
    assert asked == [(699_990, 10, 1_000_000)]


def test_it_is_drfs_own_hook() -> None:
    assert isinstance(_Entries().paginator, NumberedPages)
    assert _Entries.filter_backends == (ColumnFilter, ColumnSort)
