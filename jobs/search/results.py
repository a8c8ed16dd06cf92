"""What jobs last did to devices: for pages of devices."""

from collections.abc import Sequence

from django.db.models import QuerySet

from jobs.models import JobDevice
from jobs.sql import store


def newest_done(hosts: Sequence[str]) -> QuerySet[JobDevice]:
    """The newest row of each of these devices that is done, if there is one, in two statements for all."""
    return JobDevice.objects.filter(pk__in=store().newest_done(hosts))
