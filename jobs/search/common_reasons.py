"""Why devices of a job failed: the reasons that several of them have in common."""

from typing import Any, Final, NamedTuple

from django.db.models import Count, F, Func, QuerySet, TextField, Value
from django.db.models.functions import Substr

from cnaasjobs.db.built import Built
from jobs.models import JobDevice

MOST: Final = 5
LONGEST: Final = 255  # characters of a reason
NAME: Final = "…"  # replaces the device's name, which many reasons contain


class CommonReason(NamedTuple):
    text: str
    devices: int


def common_reasons(job_id: int) -> list[CommonReason]:
    """The reasons that devices have in common, the most frequent first."""
    return [CommonReason(*row) for row in _REASONS.rows(job_id)]


def _reasons(job_id: int) -> QuerySet[JobDevice, tuple[Any, ...]]:
    failed = JobDevice.objects.filter(job_id=job_id, failed=True).order_by()
    nameless = Func("reason", F("host"), Value(NAME), function="REPLACE", output_field=TextField())
    counted = failed.annotate(why=Substr(nameless, 1, LONGEST)).values("why").annotate(devices=Count("pk"))
    several = counted.filter(devices__gt=1).order_by("-devices", "why")
    return several.values_list("why", "devices")[:MOST]


_REASONS: Final = Built(_reasons)
