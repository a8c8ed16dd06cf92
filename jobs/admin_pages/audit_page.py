"""The page of the audit trail, read-only."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin_pages.toolkit.filters import ParameterFilter, TimeFilter
from jobs.admin_pages.toolkit.listing import NewestFirstAdmin, as_id
from jobs.admin_pages.toolkit.show import job_link, moment, text
from jobs.models import AuditEntry

SEARCHED = ("who", "origin", "lock_name", "detail")


class ActionFilter(ParameterFilter):
    title = "action"

    def expected_parameters(self) -> list[Any]:
        return ["action"]

    def offers(self) -> Any:
        for value, words in AuditEntry._meta.get_field("action").choices or []:
            yield words, {"action": value}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        action = self.used_parameters.get("action")
        return queryset.filter(action=action) if action else queryset


class AuditTimeFilter(TimeFilter):
    title = "time"
    field = "time"


class AuditEntryAdmin(NewestFirstAdmin):
    list_display = ("when", "who", "origin", "action", "job", "lock", "detail")
    list_display_links = None
    list_filter = (ActionFilter, AuditTimeFilter)
    search_fields = SEARCHED
    search_help_text = "A job's id, or part of a user's name, an address, a lock's name or the detail."

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if (job_id := as_id(term)) is not None:
            return queryset.filter(job_id=job_id), False
        found = Q()
        for field in SEARCHED:
            found |= Q(**{f"{field}__icontains": term})
        return queryset.filter(found), False

    @admin.display(description="time (UTC)")
    def when(self, entry: AuditEntry) -> SafeString | str:
        return moment(entry.time)

    @admin.display
    def job(self, entry: AuditEntry) -> SafeString | str:
        return job_link(entry.job_id)

    @admin.display
    def lock(self, entry: AuditEntry) -> str:
        return text(entry.lock_name)
