"""Workers and Beats by their heartbeats: which are alive, which queues they serve, which jobs they are running."""

import json
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from cnaasjobs.db.clock import DatabaseNow
from jobs.admin_pages.toolkit.filters import ParameterFilter
from jobs.admin_pages.toolkit.read_only import ReadOnlyAdmin
from jobs.admin_pages.toolkit.show import NOTHING, job_link, moment, span, text
from jobs.liveness.life import Life, life_of, with_life
from jobs.models import Heartbeat, Job
from jobs.states import Status

LINKS = 20


class LifeFilter(ParameterFilter):
    title = "life"

    def expected_parameters(self) -> list[Any]:
        return ["life"]

    def offers(self) -> Any:
        for life in Life:
            yield life.capitalize(), {"life": life.value}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        asked = [life for life in Life if life == self.used_parameters.get("life")]
        return queryset.filter(with_life(asked[0])) if asked else queryset


class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "life", "beat_age", "queues_served", "concurrency", "in_progress", "kind", "pid", "started")
    list_display_links = None
    list_filter = ("kind", LifeFilter)
    list_per_page = 100
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = (F("stopped_at").desc(nulls_first=True), "kind", "name")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Workers and Beats", **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Heartbeat]:
        rows: QuerySet[Heartbeat] = super().get_queryset(request).annotate(asked_at=DatabaseNow())
        return rows

    @admin.display
    def life(self, beat: Heartbeat) -> SafeString:
        match life_of(beat, now=beat.asked_at):  # type: ignore[attr-defined]  # annotated
            case Life.STOPPED:
                return format_html('<span class="badge is-dead">stopped</span> {}', moment(beat.stopped_at))
            case Life.SILENT:
                return format_html('<span class="badge is-lost"><i>!</i>{}</span>', "silent")
        return format_html('<span class="badge is-finished"><i>✓</i>{}</span>', "alive")

    @admin.display(description="last beat")
    def beat_age(self, beat: Heartbeat) -> SafeString:
        return format_html('<span title="{} UTC">{} ago</span>', beat.last_seen, span(_age(beat)))

    @admin.display(description="queues")
    def queues_served(self, beat: Heartbeat) -> str:
        return text(", ".join(json.loads(beat.queues)))

    @admin.display(description="jobs in progress")
    def in_progress(self, beat: Heartbeat) -> SafeString | str:
        if beat.stopped_at is not None:
            return NOTHING
        running = Job.objects.filter(status=Status.RUNNING.value, worker_id=beat.pk).order_by("id")
        ids = list(running.values_list("id", flat=True)[: LINKS + 1])
        more = " …" if len(ids) > LINKS else ""
        return format_html("{}{}", format_html_join(" ", "{}", ((job_link(i),) for i in ids[:LINKS])), more) or NOTHING

    @admin.display(description="started (UTC)")
    def started(self, beat: Heartbeat) -> SafeString | str:
        return moment(beat.started_at)


def _age(beat: Heartbeat) -> timedelta:
    age: timedelta = beat.asked_at - beat.last_seen  # type: ignore[attr-defined]  # annotated
    return max(age, timedelta())
