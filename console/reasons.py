"""The reasons that several devices of a job have in common, each with the search for these devices."""

from typing import NamedTuple

from console.devices import DeviceQuery
from jobs.search import common_reasons as common


class Common(NamedTuple):
    text: str
    devices: int
    query: str  # of the page that shows these devices


def common_reasons(job_id: int) -> list[Common]:
    """The most frequent first."""
    return [Common(why, devices, _query(why)) for why, devices in common.common_reasons(job_id)]


def _query(why: str) -> str:
    """The search for these devices: a name is left out of the reason, so it looks for the longest part without one."""
    part = max(why.split(common.NAME), key=len).strip()
    return DeviceQuery(name=part, only="failed").query()
