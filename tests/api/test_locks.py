"""GET and DELETE /joblocks."""

from typing import Any

import pytest

from jobs.models import AuditEntry
from locks.models import Lock
from tests.api.conftest import Api
from tests.factory import hold_lock, job_row

pytestmark = pytest.mark.django_db


def test_a_free_lock_is_not_listed(api: Api) -> None:
    Lock.objects.create(name="free")
    assert api.get("/joblocks").data == {"locks": []}


def test_each_held_lock_is_listed_with_its_holder(api: Api) -> None:
    asked, other = job_row("RUNNING", abort_reason="stop"), job_row("RUNNING")
    hold_lock("devices", asked)
    hold_lock("other", other)
    locks = api.get("/joblocks/").data["locks"]
    assert locks == [
        {"job_id": asked.pk, "name": "devices", "start_time": "2025-11-24T12:00:00.000000", "abort": True},
        {"job_id": other.pk, "name": "other", "start_time": "2025-11-24T12:00:00.000000", "abort": False},
    ]
    assert list(locks[0]) == ["job_id", "name", "start_time", "abort"]


def test_lock_whose_holder_is_gone_is_shown(api: Api) -> None:
    job = job_row("RUNNING")
    hold_lock("devices", job)
    gone = job.pk
    job.delete()
    assert api.get("/joblocks").data["locks"][0] | {"start_time": ""} == {
        "job_id": gone,
        "name": "devices",
        "start_time": "",
        "abort": False,
    }


@pytest.mark.parametrize("status", ["RUNNING", "FINISHED"])
def test_clear_works_whether_or_not_the_holder_runs(api: Api, status: str) -> None:
    hold_lock("devices", job_row(status))
    reply = api.delete("/joblocks", {"name": "devices"})
    assert reply.body == {"status": "success", "data": {"name": "devices", "status": "deleted"}}
    assert list(reply.body) == ["status", "data"]
    assert api.get("/joblocks").data == {"locks": []}
    assert api.delete("/joblocks", {"name": "devices"}).status == 404


def test_clear_is_in_the_audit_trail(api: Api) -> None:
    job = job_row("RUNNING")
    hold_lock("devices", job)
    api.delete("/joblocks", {"name": "devices"})
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.origin, entry.action, entry.job_id, entry.lock_name) == (
        "dev",
        "127.0.0.1",
        "cleared",
        job.pk,
        "devices",
    )


@pytest.mark.parametrize("body", [None, {}, {"name": ""}, {"name": None}])
def test_no_name_is_a_400(api: Api, body: Any) -> None:
    reply = api.delete("/joblocks", body)
    assert reply.status == 400
    assert reply.message == "No lock name specified"


@pytest.mark.parametrize("name", [1, True, ["devices"], {"a": 1}])
def test_name_of_a_wrong_type_is_a_400_that_names_it(api: Api, name: Any) -> None:
    reply = api.delete("/joblocks", {"name": name})
    assert reply.status == 400
    assert "name" in reply.message


@pytest.mark.parametrize("name", ["nothing", "free", "x" * 5000, "Devices", "devices ", "%", "å", "\U0001f512"])
def test_unknown_name_is_a_404(api: Api, name: str) -> None:
    Lock.objects.create(name="free")
    hold_lock("devices", job_row("RUNNING"))
    reply = api.delete("/joblocks", {"name": name})
    assert reply.status == 404
    assert reply.message == "No such lock found in database"
    assert len(api.get("/joblocks").data["locks"]) == 1
