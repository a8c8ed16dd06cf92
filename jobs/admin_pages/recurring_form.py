"""The form of a recurring schedule. It saves only what can start as a job."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.admin_pages.toolkit import registered
from jobs.beat.recurrence import SHORTEST_INTERVAL
from jobs.beat.tolerance import UnknownZone
from jobs.broker import plain_tasks
from jobs.errors import JobArgumentError, NotAllowed, ResultNotStorable
from jobs.outcome import storable_json
from jobs.rights.decide import require_start
from jobs.rights.selected import DevicesUnknown
from jobs.schedulable import HIGHEST_PRIORITY
from jobs.task import JobTask

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[PeriodicTask]
else:
    ModelForm = forms.ModelForm

NOT_FOR_JOBS = ("expire_seconds",)


class RecurringForm(ModelForm):
    """Each error is shown beside the field that it is about."""

    owner: Any = None  # the user who saves it, set for each request

    task = forms.ChoiceField(help_text="What to start. Jobs first, then Celery tasks that are not jobs.")

    class Meta:
        model = PeriodicTask
        exclude = ("date_changed",)
        widgets = {
            "args": forms.Textarea(attrs={"rows": 2, "cols": 80, "class": "signature"}),
            "kwargs": forms.Textarea(attrs={"rows": 6, "cols": 80, "class": "signature"}),
            "description": forms.Textarea(attrs={"rows": 2, "cols": 80}),
            "headers": forms.Textarea(attrs={"rows": 2, "cols": 80}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kwargs" not in self.fields:  # shown to a user who may not change it
            return
        for name in ("start_time", "expires"):  # two boxes with one label
            for widget, part in zip(self.fields[name].widget.widgets, ("date", "time"), strict=True):
                widget.attrs["aria-label"] = f"{self.fields[name].label}, {part}"
        task: Any = self.fields["task"]
        task.choices = self._choices()
        task.error_messages["invalid_choice"] = "No code of this name is registered here: %(value)s"
        self.fields["kwargs"].help_text = "One JSON object: the job's arguments by name."
        self.fields["args"].help_text = "A JSON list, for arguments that are better given by position."
        self.fields["queue"].help_text = "A queue other than the job's own. A worker must serve it (-Q)."
        self.fields["priority"].help_text = "0 to 9, 9 first within the queue. Default: the job's own."
        self.fields["expires"].help_text = "The schedule stops at this time."

    def _choices(self) -> list[Any]:
        tasks = registered.tasks()
        jobs = [(name, name) for name, task in tasks.items() if isinstance(task, JobTask)]
        others = [(name, name) for name in tasks if plain_tasks.is_allowed(name)]
        return [("", "---------"), ("Jobs", jobs), *([("Celery tasks that are not jobs", others)] if others else [])]

    def clean_args(self) -> str:
        return self._checked_json("args", list, "[]", 'a JSON list, such as ["eosdist"]')

    def clean_kwargs(self) -> str:
        return self._checked_json("kwargs", dict, "{}", 'a JSON object, such as {"hostnames": ["eosdist"]}')

    def clean_headers(self) -> str:
        return self._checked_json("headers", dict, "{}", "a JSON object")

    def _checked_json(self, name: str, kind: type, empty: str, words: str) -> str:
        text = str(self.cleaned_data.get(name) or "").strip() or empty
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as exc:
            raise ValidationError(f"This is not JSON: {exc}") from exc
        if not isinstance(value, kind):
            raise ValidationError(f"This must be {words}")
        return text

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        task = registered.tasks().get(data.get("task") or "")
        interval = data.get("interval")
        if interval is not None and (wrong := _wrong_interval(interval)):
            self.add_error("interval", wrong)
        permission = registered.permission_of(data.get("task") or "")
        if self.owner is not None and not self.owner.has_perm(permission):
            self.add_error("task", f"You may not start it yourself: it needs the permission {permission}")
        for name in plain_tasks.REFUSED_OPTIONS:
            if data.get(name) not in (None, "", "{}"):
                self.add_error(name, "A schedule may not set broker options: leave it empty")
        if isinstance(task, JobTask):
            self._check_job(task, data)
        return data

    def _check_job(self, task: JobTask, data: dict[str, Any]) -> None:
        for name in NOT_FOR_JOBS:
            if data.get(name) not in (None, "", "{}"):
                self.add_error(name, "This does not apply to a job: leave it empty")
        if (data.get("priority") or 0) > HIGHEST_PRIORITY:
            self.add_error("priority", "A job's priority is from 0 to 9")
        if "args" not in data or "kwargs" not in data:
            return
        args, kwargs = json.loads(data["args"]), json.loads(data["kwargs"])
        field = "kwargs"
        try:
            if args:
                field = "args"
                kwargs = task.named(args, kwargs)
                field = "kwargs"
            storable_json(task.bound(kwargs), what="arguments")
            if self.owner is not None and self.owner.has_perm(task.permission):
                require_start(self.owner, task, kwargs)
        except (NotAllowed, DevicesUnknown) as exc:
            self.add_error(field, f"You may not start it yourself: {exc}")
        except (JobArgumentError, ResultNotStorable) as exc:
            self.add_error(field, f"{exc}. It is called as {registered.call_of(task)}")


class CrontabForm(ModelForm):
    """A crontab whose time zone this machine does not know is shown as it is, and another zone must be chosen."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = self.instance.timezone
        if isinstance(zone, UnknownZone) and "timezone" in self.fields:
            field: Any = self.fields["timezone"]
            field.choices = [(str(zone), f"{zone}: unknown to this machine"), *field.choices]

    def clean_timezone(self) -> Any:
        zone = self.cleaned_data["timezone"]
        if isinstance(zone, UnknownZone):
            raise ValidationError(f"This machine does not know the time zone {zone}: choose another")
        return zone


def _wrong_interval(interval: IntervalSchedule) -> str | None:
    try:
        every = timedelta(**{interval.period: interval.every})
    except (TypeError, OverflowError) as exc:
        return f"This interval makes no sense: {exc}"
    return "No schedule fires more often than once a second" if every < SHORTEST_INTERVAL else None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")
