"""What a request costs in Python, counted in calls and not in time, beside the cheapest request of a known user."""

import sys
from typing import Any

import pytest

from tests.api.conftest import API, Api
from tests.factory import device_row, job_row

pytestmark = pytest.mark.django_db


def _calls(api: Api, path: str) -> int:
    """How many calls a request takes that is not the first of its kind: the least of three, without garbage's."""
    api.client.get(API + path)
    return min(_calls_once(api, path) for _ in range(3))


def _calls_once(api: Api, path: str) -> int:
    found = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal found
        found += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        answer = api.client.get(API + path)
    finally:
        sys.setprofile(None)
    assert answer.status_code == 200
    return found


@pytest.mark.parametrize("path", ["/job/{job}", "/job/{job}/log", "/job/{job}/devices/sw1"])
def test_what_front_ends_ask_again_and_again_does_not_build_its_statements_anew(api: Api, path: str) -> None:
    """Django takes hundreds of calls to build one, and 2,000 for a device's."""
    job = job_row(result='{"devices": {}}')
    device_row(job, "sw1")
    assert _calls(api, path.format(job=job.pk)) - _calls(api, "/system/version") < 450
