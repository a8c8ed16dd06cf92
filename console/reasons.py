"""Why devices of a job failed: the reasons that several of them have in common."""

from typing import Final, NamedTuple

from django.db.models import Count, F, Func, TextField, Value
from django.db.models.functions import Substr

from console.devices import LONGEST, Wanted
from jobs.models import JobDevice

MOST: Final = 5
_NAME: Final = "…"  # in place of the device's, which many reasons contain


class Common(NamedTuple):
    text: str
    devices: int
    query: str  # which shows them


def common_reasons(job_id: int) -> list[Common]:
    """The most frequent first."""
    failed = JobDevice.objects.filter(job_id=job_id, failed=True).order_by()
    nameless = Func("reason", F("host"), Value(_NAME), function="REPLACE", output_field=TextField())
    counted = failed.annotate(why=Substr(nameless, 1, LONGEST)).values("why").annotate(devices=Count("pk"))
    several = counted.filter(devices__gt=1).order_by("-devices", "why").values_list("why", "devices")
    return [Common(why, devices, _query(why)) for why, devices in several[:MOST]]


def _query(why: str) -> str:
    """By the longest part that they have in common."""
    part = max(why.split(_NAME), key=len).strip()
    return Wanted(name=part, only="failed").query()
