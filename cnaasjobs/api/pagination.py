"""Pages by number: ``per_page``, ``page``; ``X-Total-Count`` and ``Link`` in the answer's headers."""

from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from cnaasjobs.api.envelope import success
from cnaasjobs.api.filters import refusal

DEFAULT_PER_PAGE = 50
MAX_PER_PAGE = 1000
MAX_LINK_BYTES = 2000  # it repeats the query up to four times, and proxies refuse over 4 KB of headers


class NumberedPages(BasePagination):
    """DRF's paginator for ``pagination_class``. An app that has a faster way overrides ``count`` and ``window``.

    If the first page holds all rows, nothing is counted.
    """

    request: Request
    per_page: int
    number: int
    total: int

    def count(self, queryset: QuerySet[Any, Any]) -> int:
        return queryset.count()

    def window(self, queryset: QuerySet[Any, Any], start: int, size: int, total: int) -> QuerySet[Any, Any]:
        """Rows ``start`` to ``start + size``, of ``total``."""
        return queryset[start : start + size]

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        self.request = request
        self.per_page = _per_page(request, view)
        self.number = _page_number(request)
        start = (self.number - 1) * self.per_page
        rows = list(queryset[: self.per_page]) if start == 0 else []
        self.total = len(rows) if 0 < len(rows) < self.per_page else self.count(queryset)
        # Past the end there is nothing to read, and the offset may be larger than the database allows.
        if 0 < start < self.total:
            rows = list(self.window(queryset, start, self.per_page, self.total))
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        headers = {"X-Total-Count": str(self.total)}
        links = self._links()
        if len(links) <= MAX_LINK_BYTES:
            headers["Link"] = links
        return success(data, headers=headers)

    def _links(self) -> str:
        last = max(1, -(-self.total // self.per_page))
        pages = {"first": 1}
        if self.number > 1:
            pages["prev"] = min(self.number - 1, last)
        if self.number < last:
            pages["next"] = self.number + 1
        pages["last"] = last
        others = self.request.query_params.copy()
        others.pop("page", None)
        others["per_page"] = str(self.per_page)
        base = f"{self.request.build_absolute_uri(self.request.path)}?{others.urlencode()}"
        return ", ".join(f'<{base}&page={number}>; rel="{relation}"' for relation, number in pages.items())


def _per_page(request: Request, view: Any) -> int:
    text = request.query_params.get("per_page", str(DEFAULT_PER_PAGE))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_PER_PAGE):
        raise refusal(view, f"per_page argument must be integer between 1-{MAX_PER_PAGE}")
    return int(text)


def _page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdigit()):
        return 1
    digits = text.lstrip("0")[:18]  # a longer number is past every end too
    return max(1, int(digits or "1"))
