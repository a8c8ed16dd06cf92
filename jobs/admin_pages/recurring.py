"""Recurring schedules: django-celery-beat's tables, with a form that checks a job's arguments when it is saved."""

import inspect
from datetime import datetime
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django_celery_beat.admin import CrontabScheduleAdmin, PeriodicTaskAdmin, ScheduleAdmin
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from cnaasjobs.api.caller import who
from cnaasjobs.api.errors import Conflict
from jobs.admin_pages import recurring_actions
from jobs.admin_pages.recurring_form import CrontabForm, RecurringForm
from jobs.admin_pages.toolkit import registered
from jobs.admin_pages.toolkit.show import NOTHING, job_link, moment
from jobs.api.idempotency import OutcomeUnknown
from jobs.beat.reading import readable
from jobs.beat.recurrence import ScheduleBroken, due_time
from jobs.errors import JobArgumentError, NotAllowed
from jobs.models import ScheduleOwner
from jobs.operating.again import MadeMeanwhile
from jobs.rights.selected import DevicesUnknown


class RecurringAdmin(PeriodicTaskAdmin):
    form = RecurringForm
    action_form = recurring_actions.ActionForm
    change_form_template = "admin/jobs/recurring_form.html"
    date_hierarchy = None
    show_facets = admin.ShowFacets.NEVER
    list_display = ("name", "enabled", "task", "rule", "owner", "next_run", "last_run", "total_run_count")
    list_filter = ("enabled", "task")
    search_fields = ("name", "task", "description", "kwargs")
    search_help_text = "Part of a schedule's name, task, description or arguments."
    actions = ("run_now", "enable_tasks", "disable_tasks")
    readonly_fields = ("last_run_at", "total_run_count", "next_run", "owner")
    fieldsets = (
        (None, {"fields": ("name", "enabled", "task", "kwargs", "description")}),
        (
            "When",
            {
                "fields": ("interval", "crontab", "start_time", "expires", "one_off"),
                "description": "Either an interval or a crontab. A crontab has its own time zone, all else is in UTC. "
                "A time that was missed while no Beat ran is made up for once.",
            },
        ),
        ("Runs", {"fields": ("owner", "next_run", "last_run_at", "total_run_count")}),
        ("More for jobs", {"fields": ("args", "queue", "priority"), "classes": ("collapse",)}),
        ("Other kinds of schedule", {"fields": ("clocked", "solar"), "classes": ("collapse",)}),
        (
            "Only for Celery tasks that are not jobs",
            {"fields": ("expire_seconds", "exchange", "routing_key", "headers"), "classes": ("collapse",)},
        ),
    )

    class Media:
        js = ("jobs/recurring.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeriodicTask]:
        """The schedules that can be read. No page can show the others; the list names them."""
        rows: QuerySet[PeriodicTask] = super().get_queryset(request)
        others = readable(rows).others
        return rows.exclude(pk__in=[row.pk for row in others]) if others else rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Django offers an action to everybody who may view the page; these need more permissions."""
        allowed: dict[str, Any] = super().get_actions(request)
        if not self.has_change_permission(request):
            allowed = {name: value for name, value in allowed.items() if name not in ("enable_tasks", "disable_tasks")}
        if not request.user.has_perm("jobs.add_job"):
            allowed.pop("run_now", None)
        return allowed

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **options)
        return type("RecurringForm", (form,), {"owner": request.user})

    def save_model(self, request: HttpRequest, obj: PeriodicTask, form: Any, change: bool) -> None:
        """The user who saves it becomes its owner, who is responsible for what it starts from now on."""
        super().save_model(request, obj, form, change)
        user = cast("User", request.user)  # nobody else gets here
        ScheduleOwner.objects.update_or_create(schedule=obj, defaults={"user": user, "name": who(request)[:150]})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        for row in readable(super().get_queryset(request)).others:
            words = f"Schedule {row.name} never runs, and can't be shown here: {row.why}."
            where = f"Correct or delete its row, id {row.pk} of {PeriodicTask._meta.db_table}, in the database."
            messages.error(request, f"{words} {where}")
        page: HttpResponse = super().changelist_view(request, {"title": "Recurring schedules", **(extra_context or {})})
        return page

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page's script shows how the chosen job is called, and describes the chosen crontab."""
        calls = {
            name: {"call": registered.call_of(task), "doc": inspect.getdoc(task.run) or ""}
            for name, task in registered.job_tasks().items()
        }
        # Not the parent's context: it describes every crontab on each request, for a script of its own.
        page: HttpResponse = admin.ModelAdmin.changeform_view(
            self, request, object_id, form_url, {"calls": calls, "crontabs": _crontabs(), **(extra_context or {})}
        )
        return page

    @admin.display(description="owner")
    def owner(self, row: PeriodicTask) -> str:
        owned = ScheduleOwner.objects.filter(schedule_id=row.pk).first()
        return owned.name if owned is not None else NOTHING

    @admin.display(description="schedule")
    def rule(self, row: PeriodicTask) -> str:
        return str(row.crontab.human_readable if row.crontab else row.scheduler or NOTHING)

    @admin.display(description="next run (UTC)")
    def next_run(self, row: PeriodicTask) -> SafeString | str:
        if row.pk is None or not row.enabled:
            return NOTHING
        try:
            due: datetime | None = due_time(row)
        except ScheduleBroken as exc:
            return format_html('<span class="badge is-lost"><i>!</i>never</span> {}', exc)
        return moment(due)

    @admin.display(description="last run (UTC)")
    def last_run(self, row: PeriodicTask) -> SafeString | str:
        return moment(row.last_run_at)

    @admin.action(description="Run selected schedules now, once")
    def run_now(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        for row in queryset:
            try:
                job_id = recurring_actions.run(request, row)
            except (JobArgumentError, NotAllowed, DevicesUnknown, MadeMeanwhile, Conflict) as exc:
                messages.error(request, f"Schedule {row.name}: {exc}")
            except OutcomeUnknown:
                words = "it is not known whether a job was scheduled: look in the list of jobs before you run it again"
                messages.error(request, f"Schedule {row.name}: {words}")
            else:
                words = format_html("Schedule {}: scheduled job {}", row.name, job_link(job_id))
                messages.success(request, words)

    @admin.action(description="Enable selected schedules")
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._switch(request, queryset, enabled=True)

    @admin.action(description="Disable selected schedules")
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._switch(request, queryset, enabled=False)

    def _switch(self, request: HttpRequest, queryset: QuerySet[PeriodicTask], *, enabled: bool) -> None:
        switched = 0
        for row in queryset:
            try:
                recurring_actions.switch(request, row, enabled=enabled)
            except JobArgumentError as exc:
                messages.error(request, f"Schedule {row.name}: {exc}")
            else:
                switched += 1
        if switched:
            words = "enabled" if enabled else "disabled"
            messages.success(request, f"{switched} schedule{'' if switched == 1 else 's'} {words}")


class RuleAdmin(ScheduleAdmin):
    """When to fire: one rule may belong to several schedules, so changing it changes when all their jobs start."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may_start_all(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_start_all(request, obj)


class CrontabAdmin(RuleAdmin, CrontabScheduleAdmin):
    form = CrontabForm


def _may_start_all(request: HttpRequest, rule: Any) -> bool:
    try:
        for row in rule.periodictask_set.all() if rule is not None else ():
            recurring_actions.refuse_stranger(request, row)
    except JobArgumentError:
        return False
    return True


def _crontabs() -> dict[int, str]:
    return {row.pk: str(row.human_readable) for row in CrontabSchedule.objects.all()[:500]}
