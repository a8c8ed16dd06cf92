"""The list of jobs, and the way to one job's page and to aborting."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from cnaasjobs.db.clock import DatabaseNow
from jobs.admin_pages import abort, approve, job_filters, job_page
from jobs.admin_pages.toolkit.listing import NewestFirstAdmin, as_id
from jobs.admin_pages.toolkit.show import moment, span, status_badge, text
from jobs.models import Job
from jobs.waiting.progress import looks_of

SEARCHED = ("function_name", "comment", "ticket_ref", "scheduled_by")


class JobAdmin(NewestFirstAdmin):
    list_display = (
        "id",
        "status_column",
        "function",
        "scheduled",
        "started",
        "finished",
        "duration",
        "by",
        "worker_column",
        "lock",
    )
    list_display_links = ("id", "function")
    list_filter = (
        job_filters.StatusFilter,
        job_filters.FunctionFilter,
        job_filters.ExceptionFilter,
        job_filters.FinishedFilter,
        job_filters.ScheduledFilter,
        job_filters.StartedFilter,
        job_filters.QueueFilter,
        job_filters.WorkerFilter,
    )
    search_fields = SEARCHED
    search_help_text = "A job's id, or part of its function, comment, ticket or of who scheduled it."
    actions = ("abort_selected", "approve_selected")

    # --- the list -----------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        rows: QuerySet[Job] = super().get_queryset(request).defer("finished_devices", "start_arguments")
        return rows.annotate(asked_at=DatabaseNow())

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Job], search_term: str
    ) -> tuple[QuerySet[Job], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        if (job_id := as_id(term)) is not None:
            return queryset.filter(Q(pk=job_id) | Q(ticket_ref__contains=str(job_id))), False
        found = Q()
        for field in SEARCHED:
            found |= Q(**{f"{field}__icontains": term})
        return queryset.filter(found), False

    def pinned(self, queryset: QuerySet[Job], term: str) -> list[Any]:
        job_id = as_id(term)
        return [] if job_id is None else list(queryset.filter(pk=job_id).order_by())

    def prepare(self, rows: list[Any]) -> None:
        looks = looks_of(rows)
        for job in rows:
            job.look = looks[job.pk]

    @admin.display(description="status")
    def status_column(self, job: Job) -> SafeString:
        return status_badge(job, job.look)  # type: ignore[attr-defined]  # by prepare

    @admin.display
    def function(self, job: Job) -> str:
        return job.function_name

    @admin.display(description="scheduled (UTC)")
    def scheduled(self, job: Job) -> SafeString | str:
        return moment(job.scheduled_time, short=True)

    @admin.display(description="started")
    def started(self, job: Job) -> SafeString | str:
        return moment(job.start_time, short=True)

    @admin.display(description="finished")
    def finished(self, job: Job) -> SafeString | str:
        return moment(job.finish_time, short=True)

    @admin.display
    def duration(self, job: Job) -> str:
        if job.start_time is None:
            return span(None)
        return span((job.finish_time or job.asked_at) - job.start_time)  # type: ignore[attr-defined]  # annotated

    @admin.display(description="by")
    def by(self, job: Job) -> str:
        return text(job.scheduled_by)

    @admin.display(description="worker")
    def worker_column(self, job: Job) -> str:
        return text((job.worker or "").removeprefix("celery@"))

    @admin.display
    def lock(self, job: Job) -> str:
        return text(job.lock_name)

    # --- one job ------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("abort/", view(self.abort_view), name="jobs_job_abort"),
            path("approve/", view(self.approve_view), name="jobs_job_approve"),
            path("<int:job_id>/result/", view(self.result_view), name="jobs_job_result"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request) or request.method not in ("GET", "HEAD"):  # nobody changes a job here
            raise PermissionDenied
        job_id = as_id(object_id)
        job = None if job_id is None else Job.objects.annotate(asked_at=DatabaseNow()).filter(pk=job_id).first()
        if job is None:
            messages.warning(request, f"No job with id {object_id[:40]} found. It may have been pruned.")
            return HttpResponseRedirect(reverse("admin:jobs_job_changelist"))
        context = {
            **self.admin_site.each_context(request),
            **job_page.context(job),
            "title": f"Job {job.pk}: {job.function_name}",
            "opts": self.opts,
            "can_approve": self.has_approve_permission(request) and job.unapproved,
            "can_abort": self.has_abort_permission(request) and abort.is_abortable(job),
            "preserved_filters": self.get_preserved_filters(request),
            "changelist_url": reverse("admin:jobs_job_changelist"),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/job_page.html", context)

    def result_view(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """The whole result as it is stored, for what is too long for the page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return job_page.whole_result(job_id)

    # --- a second person ----------------------------------------------------------------------------------------------

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.approve_job")

    @admin.action(description="Approve or reject selected jobs…", permissions=["approve"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return HttpResponseRedirect(f"{reverse('admin:jobs_job_approve')}?{urlencode({'ids': ','.join(chosen)})}")

    def approve_view(self, request: HttpRequest) -> HttpResponse:
        if not (self.has_view_permission(request) and self.has_approve_permission(request)):
            raise PermissionDenied
        return approve.view(request, {**self.admin_site.each_context(request), "opts": self.opts})

    # --- abort --------------------------------------------------------------------------------------------------------

    def has_abort_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.abort_job")

    @admin.action(description="Abort selected jobs…", permissions=["abort"])
    def abort_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return HttpResponseRedirect(f"{reverse('admin:jobs_job_abort')}?{urlencode({'ids': ','.join(chosen)})}")

    def abort_view(self, request: HttpRequest) -> HttpResponse:
        if not (self.has_view_permission(request) and self.has_abort_permission(request)):
            raise PermissionDenied
        return abort.view(request, {**self.admin_site.each_context(request), "opts": self.opts})
