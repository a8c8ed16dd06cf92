"""The chain of seals finds entries that were changed, deleted or inserted, and delays no entry."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from cnaasjobs.db.clock import database_now
from jobs.audit import trail
from jobs.audit.seal import Seal, verify
from jobs.deeds import Deed
from jobs.models import AuditEntry, AuditSeal
from tests.services import PostgreSQL

pytestmark = pytest.mark.django_db(transaction=True)


def entries(count: int) -> list[AuditEntry]:
    for number in range(count):
        trail.add(Deed.SCHEDULED, who="ann", origin="10.0.0.1", job_id=number, detail="probe")
    return list(AuditEntry.objects.order_by("id"))


def seal(*, links: int = 1) -> None:
    step = Seal()
    for _ in range(2 * links):
        step.step()


def test_a_trail_that_nobody_changed_has_no_faults() -> None:
    entries(3)
    seal()
    entries(2)
    verdict = verify()
    assert (verdict.sealed, verdict.unsealed, verdict.faults) == (3, 2, ())
    call_command("audit", "verify", stdout=None)


@pytest.mark.parametrize(
    "change",
    [
        {"who": "eva"},
        {"detail": "nothing"},
        {"job_id": 7},
        {"origin": "10.0.0.2"},
        {"action": "aborted"},
        {"lock_name": "devices"},
        {"time": "2020-01-01T00:00:00+00:00"},
    ],
)
def test_a_changed_entry_is_found(change: dict[str, Any]) -> None:
    rows = entries(3)
    seal()
    AuditEntry.objects.filter(pk=rows[1].pk).update(**change)
    assert len(verify().faults) == 1
    with pytest.raises(CommandError, match="was changed"):
        call_command("audit", "verify")


def test_a_deleted_entry_is_found() -> None:
    rows = entries(3)
    seal()
    rows[1].delete()
    assert "3 were sealed, 2 are there" in verify().faults[0]


def test_an_entry_that_was_slipped_in_is_found() -> None:
    gap = entries(3)[1].pk
    AuditEntry.objects.filter(pk=gap).delete()  # a number that a rolled back transaction used up
    seal()
    assert verify().faults == ()
    AuditEntry.objects.create(pk=gap, time=database_now(), who="eva", origin="x", action="cleared")
    assert "2 were sealed, 3 are there" in verify().faults[0]


def test_a_link_that_is_gone_or_not_ours_is_found(settings: Any) -> None:
    entries(2)
    seal()
    entries(2)
    seal()
    first, last = AuditSeal.objects.order_by("id")
    AuditSeal.objects.filter(pk=last.pk).update(digest="0" * 64)
    assert len(verify().faults) == 1
    AuditSeal.objects.filter(pk=last.pk).update(digest=last.digest)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 8, [settings.SECRET_KEY]
    assert verify().faults == ()
    first.delete()
    assert any("is missing" in fault for fault in verify().faults)


@pytest.mark.needs("postgresql")
def test_an_entry_of_an_open_transaction_is_waited_for(postgresql: PostgreSQL) -> None:
    """Its number is lower than that of a committed entry: if that were sealed now, this one would look inserted."""
    slow = connections.create_connection("default")
    try:
        slow.set_autocommit(False)
        with slow.cursor() as cursor:
            cursor.execute(
                "INSERT INTO jobs_auditentry (time, who, origin, action, detail)"
                " VALUES (now(), 'slow', 'x', 'cleared', '')"
            )
        entries(1)
        step = Seal()
        assert [step.step() for _ in range(3)] == [0, 0, 0]
        slow.commit()
        assert sum(step.step() for _ in range(3)) == 2
        assert verify().faults == ()
    finally:
        slow.close()


@pytest.mark.needs("postgresql")
def test_a_role_that_does_not_own_the_tables_can_only_add(postgresql: PostgreSQL) -> None:
    entries(1)
    seal()
    for statement in (
        "UPDATE jobs_auditentry SET who = 'eva'",
        "DELETE FROM jobs_auditentry",
        "TRUNCATE jobs_auditentry",
        "UPDATE jobs_auditseal SET digest = ''",
        "DELETE FROM jobs_auditseal",
    ):
        with transaction.atomic(), connection.cursor() as cursor:
            _become_another_role(cursor, "ALL")
            with pytest.raises(DatabaseError, match="append-only"):
                cursor.execute(statement)
            transaction.set_rollback(True)
    with transaction.atomic(), connection.cursor() as cursor:
        _become_another_role(cursor, "INSERT, SELECT")
        trail.add(Deed.CLEARED, who="app", origin="x")
        transaction.set_rollback(True)


def _become_another_role(cursor: Any, granted: str) -> None:
    """Until the transaction is rolled back."""
    cursor.execute("CREATE ROLE app")
    cursor.execute(f"GRANT {granted} ON ALL TABLES IN SCHEMA public TO app")
    cursor.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app")
    cursor.execute("SET LOCAL ROLE app")
