"""A change list that is read by ``scan``: newest first, with links to older and newer rows in place of page numbers."""

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from cnaasjobs.db import scan
from jobs.admin_pages.toolkit.read_only import ReadOnlyAdmin

BEFORE, AFTER = "before", "after"
POSITION: Final = (BEFORE, AFTER)


class NewestFirst(ChangeList):
    """Django's change list without its counts."""

    page: scan.Page[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = str(self.opts.verbose_name_plural).capitalize()

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in POSITION}

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """A link to another filter starts again at the newest rows."""
        return super().get_query_string({BEFORE: None, AFTER: None, **(new_params or {})}, remove)

    def get_results(self, request: HttpRequest) -> None:
        before, after = (_id(self.params.pop(name, "")) for name in POSITION)
        self.page = scan.read(self.queryset, size=self.list_per_page, before=before, after=after)
        rows = self.page.rows
        if before is None and after is None and isinstance(self.model_admin, NewestFirstAdmin):
            pinned = self.model_admin.pinned(self.queryset, self.query)
            rows = [*pinned, *(row for row in rows if row.pk not in {each.pk for each in pinned})]
        if isinstance(self.model_admin, NewestFirstAdmin):
            self.model_admin.prepare(rows)
        self.result_list = rows
        self.result_count = len(rows)
        self.full_result_count = None
        self.show_full_result_count = False
        self.show_admin_actions = bool(rows)
        self.can_show_all = self.multi_page = False
        self.paginator = Paginator(rows, self.list_per_page)

    @property
    def hidden_params(self) -> list[tuple[str, str]]:
        """The filters, for the search form to keep."""
        return [(name, value) for name, value in self.params.items() if name != "q"]

    @property
    def clear_search_url(self) -> str:
        return self.get_query_string(remove=["q"])

    @property
    def older_url(self) -> str | None:
        return self._at(BEFORE, self.page.before)

    @property
    def newer_url(self) -> str | None:
        return self._at(AFTER, self.page.after)

    @property
    def newest_url(self) -> str:
        return self.get_query_string()

    def _at(self, name: str, row_id: int | None) -> str | None:
        return None if row_id is None else self.get_query_string({name: row_id})


class NewestFirstAdmin(ReadOnlyAdmin):
    """A read-only list for a table of any size."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    actions_selection_counter = True
    change_list_template = "admin/jobs/newest_first.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestFirst

    def pinned(self, queryset: QuerySet[Any], term: str) -> list[Any]:
        """Rows that a search must find wherever they are in the table; shown first."""
        return []

    def prepare(self, rows: list[Any]) -> None:
        """What a column needs and is asked once for all rows; each row keeps its own."""


def _id(given: str) -> int | None:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def as_id(term: str) -> int | None:
    """The search term as an id, if it can be one."""
    return _id(term.strip().removeprefix("#"))
