"""Why devices of a job failed: the reasons that several of them have in common."""

from typing import Any, Final, NamedTuple

from django.db.models import Count, F, Func, QuerySet, TextField, Value
from django.db.models.functions import Substr

from cnaasjobs.db.built import Built
from console.devices import LONGEST, DeviceQuery
from jobs.models import JobDevice

MOST: Final = 5
_NAME: Final = "…"  # replaces the device's name, which many reasons contain


class Common(NamedTuple):
    text: str
    devices: int
    query: str  # of the page that shows these devices


def common_reasons(job_id: int) -> list[Common]:
    """The reasons that devices have in common, the most frequent first."""
    return [Common(why, devices, _query(why)) for why, devices in _REASONS.rows(job_id)]


def _reasons(job_id: int) -> QuerySet[JobDevice, tuple[Any, ...]]:
    failed = JobDevice.objects.filter(job_id=job_id, failed=True).order_by()
    nameless = Func("reason", F("host"), Value(_NAME), function="REPLACE", output_field=TextField())
    counted = failed.annotate(why=Substr(nameless, 1, LONGEST)).values("why").annotate(devices=Count("pk"))
    several = counted.filter(devices__gt=1).order_by("-devices", "why")
    return several.values_list("why", "devices")[:MOST]


_REASONS: Final = Built(_reasons)


def _query(why: str) -> str:
    """The search for these devices: a name is left out of the reason, so it looks for the longest part without one."""
    part = max(why.split(_NAME), key=len).strip()
    return DeviceQuery(name=part, only="failed").query()
