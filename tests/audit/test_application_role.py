"""All that the platform does while it runs, under a database role that owns no table.

A table that came later is granted by the docs' default privileges; a statement that needs its owner would fail here.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from knox.models import AuthToken

from devices.tasks import sync_devices
from jobs import feed
from jobs.audit.seal import Seal, verify
from jobs.beat.heartbeat import BeatHeartbeat
from jobs.dispatch import scheduling, sending
from jobs.metrics import fold
from jobs.models import AuditEntry, GroupScope, Job, JobApproval
from jobs.testing import perform_job
from jobs.upkeep.runner import chores, repairs
from tests import fake_jobs
from tests.devices.conftest import lab
from tests.devices.lab import Lab
from tests.fake_jobs import canaries
from tests.identity.issuer import AUDIENCE, ISSUER, ec_key, jwks, signed
from tests.secrecy.planting import pages
from tests.services import PostgreSQL
from tests.switching import database_url, on_database

__all__ = ["lab"]

pytestmark = [pytest.mark.needs("postgresql"), pytest.mark.devices]

ROLE = "cnaasjobs_app"


def documented() -> str:
    text = (Path(__file__).parents[2] / "docs/production.md").read_text()
    found = re.search(r"```\n(CREATE ROLE cnaasjobs_app .*?)```", text, re.DOTALL)
    assert found is not None
    return found[1].replace("'…'", "'app'")


@pytest.fixture
def as_application(postgresql: PostgreSQL) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute(documented())
        cursor.execute("CREATE TABLE made_later (id bigserial PRIMARY KEY)")
    owner = database_url()
    scheme, _, rest = owner.partition("://")
    try:
        with on_database(f"{scheme}://{ROLE}:app@{rest.partition('@')[2]}"):
            yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def test_the_platform_runs_under_a_role_that_owns_no_table(
    as_application: None, lab: Lab, settings: Any, tmp_path: Path
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (ROLE,)
        cursor.execute("INSERT INTO made_later DEFAULT VALUES")
    lab.add("sw1")
    lab.write()
    boss, ann = User.objects.create_superuser("boss", password="correct horse"), User.objects.create_user("ann")
    group = Group.objects.create(name="some")
    group.permissions.set(Permission.objects.filter(codename="view_job"))
    GroupScope.objects.create(group=group, device_groups="access")
    ann.groups.add(group)
    AuthToken.objects.create(ann)
    browser = Client(headers={"Host": "localhost"})
    browser.force_login(boss)

    assert perform_job(sync_devices, all=True, dry_run=False).status == "FINISHED"
    assert perform_job(canaries.log_canaries).status == "EXCEPTION"  # none are set
    assert perform_job(fake_jobs.with_lock).status == "FINISHED"
    approved, rejected = (scheduling.schedule(fake_jobs.guarded, {}, scheduled_by="ann") for _ in range(2))
    browser.post(f"/jobs/{approved.pk}/approve", {"approve": "1", "comment": "well"})
    browser.post(f"/jobs/{rejected.pk}/approve", {"reject": "1", "comment": "no"})
    assert set(JobApproval.objects.values_list("verdict", flat=True)) == {"approved", "JobRejected"}
    later = {"all": True, "start_at": "2099-01-01 00:00:00"}
    for headers in ({}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}):
        answer = browser.post("/api/v1.0/device_syncto", later, content_type="application/json", headers=headers)
        assert answer.status_code == 200
    browser.post("/jobs/abort", {"ids": str(answer.json()["job_id"]), "reason": "enough"})
    assert Job.objects.get(pk=answer.json()["job_id"]).exception_type == "JobAborted"
    every = IntervalSchedule.objects.create(every=1, period="hours")
    PeriodicTask.objects.create(name="often", task="tests.fake_jobs.nothing", interval=every)

    BeatHeartbeat().step()
    settings.CNAASJOBS_RETENTION_FINISHED_DAYS = settings.CNAASJOBS_RETENTION_EXCEPTION_DAYS = 1
    for upkeep in (repairs(lambda: None), chores()):
        for _ in range(2):
            for step in upkeep.steps:
                step.run()
    sending.dispatch_due()
    fold.flush()
    assert feed.look(feed.position()).told == []
    for path in pages([*Job.objects.values_list("pk", flat=True)]):
        assert browser.get(path).status_code < 500, path
    out = io.StringIO()
    call_command("jobs", "list", stdout=out)
    assert "sync_devices" in out.getvalue()

    settings.CNAASJOBS_REQUIRE_TOKEN = True
    settings.CNAASJOBS_JWT_ISSUER, settings.CNAASJOBS_JWT_AUDIENCE = ISSUER, AUDIENCE
    settings.CNAASJOBS_JWT_KEYS_FILE = tmp_path / "keys"
    (tmp_path / "keys").write_bytes(jwks(first=ec_key("first")))
    settings.CNAASJOBS_JWT_GROUPS = {"noc": "some"}
    jwt = {"Authorization": f"Bearer {signed(groups=['noc'])}", "Host": "localhost"}
    assert Client(headers=jwt).get("/api/v1.0/jobs").status_code == 200
    assert Client(headers={"Host": "localhost"}).post("/sign-in", {"username": "boss", "password": "x"}).status_code

    seal = Seal()
    for _ in range(3):
        seal.step()
    verdict = verify()
    assert (verdict.sealed, verdict.unsealed, verdict.faults) == (AuditEntry.objects.count(), 0, ())
    for statement in ("UPDATE jobs_auditentry SET who = 'eva'", "DELETE FROM jobs_auditseal", "DROP TABLE jobs_job"):
        refused = pytest.raises(DatabaseError, match=r"append-only|must be owner")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
