"""Why devices of a job failed: the reasons that several of them have in common."""

from typing import Final, NamedTuple

from django.db.models import Count
from django.db.models.functions import Substr

from console.devices import LONGEST, Wanted
from jobs.models import JobDevice

MOST: Final = 5


class Common(NamedTuple):
    text: str
    devices: int
    query: str  # which shows them


def common_reasons(job_id: int) -> list[Common]:
    """The most frequent first."""
    failed = JobDevice.objects.filter(job_id=job_id, failed=True).order_by()
    counted = failed.annotate(why=Substr("reason", 1, LONGEST)).values("why").annotate(devices=Count("pk"))
    several = counted.filter(devices__gt=1).order_by("-devices", "why").values_list("why", "devices")
    return [Common(why, devices, Wanted(name=why, only="failed").query()) for why, devices in several[:MOST]]
