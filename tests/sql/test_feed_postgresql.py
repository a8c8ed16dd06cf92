"""The change feed when transactions end in another order than they began, and through a crash and a restore."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from jobs.models import Job
from jobs.sql import store
from jobs.sql.position import Position
from tests.factory import job_rows
from tests.services import PostgreSQL
from tests.services.postgresql import run_program
from tests.services.standby import Standby
from tests.switching import on_database

pytestmark = pytest.mark.needs("postgresql")

WRITE = "UPDATE jobs_job SET comment = %s WHERE id = %s"
Open = Callable[[], Any]


@pytest.fixture
def open_transaction(postgresql: PostgreSQL) -> Iterator[Open]:
    """A session of its own that commits when it is told to."""
    with ExitStack() as stack:

        def session() -> Any:
            found = stack.enter_context(closing(postgresql.connect()))
            found.autocommit = False
            return found

        yield session


def write(session: Any, job_id: int, comment: str = "x") -> None:
    with session.cursor() as cursor:
        cursor.execute(WRITE, [comment, job_id])


class Reader:
    """Knows of each job what it was told last. Keeps its position as the text that a client has."""

    def __init__(self) -> None:
        self.position = str(store().position())
        self.known = dict(Job.objects.values_list("pk", "comment"))
        self.resets = 0

    def look(self, limit: int = 1000) -> list[int]:
        position = Position.parse(self.position)
        assert position is not None
        look = store().look(position, limit)
        self.position = str(look.position)
        if look.changes is None:
            self.resets += 1
            self.known = dict(Job.objects.values_list("pk", "comment"))
            return []
        ids = [change.id for change in look.changes]
        self.known |= dict(Job.objects.filter(pk__in=ids).values_list("pk", "comment"))
        return ids


@pytest.fixture
def ids(postgresql: PostgreSQL) -> list[int]:
    job_rows(20)
    return list(Job.objects.order_by("pk").values_list("pk", flat=True))


def test_what_commits_late_is_told_when_it_does(ids: list[int], open_transaction: Open) -> None:
    reader, late, soon = Reader(), open_transaction(), open_transaction()
    write(late, ids[0])
    write(soon, ids[1])
    soon.commit()
    assert reader.look() == [ids[1]]
    assert reader.look() == []
    late.commit()
    assert reader.look() == [ids[0]]
    assert reader.look() == []


def test_a_page_that_was_read_while_a_transaction_was_open_is_told_of_it(
    ids: list[int], open_transaction: Open
) -> None:
    late = open_transaction()
    write(late, ids[0])
    Job.objects.filter(pk=ids[1]).update(comment="newer")
    reader = Reader()
    late.commit()
    assert reader.look() == [ids[0]]


def test_no_transaction_holds_the_others_back(postgresql: PostgreSQL, ids: list[int]) -> None:
    """Whatever it does, in whatever database."""
    reader = Reader()
    with closing(postgresql.connect("postgres")) as elsewhere:
        elsewhere.autocommit = False
        with elsewhere.cursor() as cursor:
            cursor.execute("SELECT txid_current()")
        Job.objects.filter(pk=ids[0]).update(comment="x")
        assert reader.look() == [ids[0]]


def test_a_reader_of_a_standby_starts_over_and_does_so_again_when_that_is_promoted(
    postgresql: PostgreSQL, ids: list[int], scratch: Path
) -> None:
    reader = Reader()
    with Standby(scratch / "standby", of=postgresql) as standby, on_database(standby.url):
        assert [reader.look(), reader.look(), reader.resets] == [[], [], 1]
        standby.promote()
        connection.close()
        Job.objects.filter(pk=ids[0]).update(comment="x")
        assert [reader.look(), reader.resets, reader.known[ids[0]]] == [[], 2, "x"]
        Job.objects.filter(pk=ids[1]).update(comment="x")
        assert reader.look() == [ids[1]]


def test_a_savepoint_is_told_with_its_transaction(ids: list[int], open_transaction: Open) -> None:
    reader, session = Reader(), open_transaction()
    with session.cursor() as cursor:
        cursor.execute("SAVEPOINT one")
        cursor.execute(WRITE, ["kept", ids[0]])
        cursor.execute("RELEASE SAVEPOINT one")
        cursor.execute("SAVEPOINT two")
        cursor.execute(WRITE, ["dropped", ids[1]])
        cursor.execute("ROLLBACK TO SAVEPOINT two")
    assert reader.look() == []
    session.commit()
    assert reader.look() == [ids[0]]


def test_nothing_is_missed_of_more_open_transactions_than_a_position_holds(
    postgresql: PostgreSQL, ids: list[int], open_transaction: Open
) -> None:
    job_rows(30)
    many = list(Job.objects.order_by("pk").values_list("pk", flat=True))[:45]
    reader = Reader()
    sessions = [open_transaction() for _ in many]
    for session, job_id in zip(sessions, many, strict=True):
        write(session, job_id)
    last = Job.objects.order_by("-pk").values_list("pk", flat=True)[0]
    Job.objects.filter(pk=last).update(comment="x")
    assert reader.look() == [last]
    assert len(reader.position) < 60
    for session in sessions:
        session.commit()
    assert sorted({*reader.look()} - {last}) == many


def test_every_last_state_is_told_among_writers_that_roll_back_and_wait(postgresql: PostgreSQL, ids: list[int]) -> None:
    """8 writers; the reader reconnects from its text now and then, and looks while they write."""
    reader, done = Reader(), threading.Event()
    failed: list[Exception] = []

    def writer(seed: int) -> None:
        rng = random.Random(seed)
        try:
            with closing(postgresql.connect()) as session, session.cursor() as cursor:
                for number in range(120):
                    cursor.execute("BEGIN")
                    # In the order of ids: two writers never wait for each other.
                    for job_id in sorted(rng.sample(ids, rng.choice((1, 1, 2, 5)))):
                        cursor.execute("SAVEPOINT here")
                        cursor.execute(WRITE, [f"{seed} {number}", job_id])
                        if rng.random() < 0.2:
                            cursor.execute("ROLLBACK TO SAVEPOINT here")
                    if rng.random() < 0.1:
                        cursor.execute("SELECT pg_sleep(0.05)")
                    cursor.execute("ROLLBACK" if rng.random() < 0.2 else "COMMIT")
        except Exception as exc:  # noqa: BLE001
            failed.append(exc)

    threads = [threading.Thread(target=writer, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    looks = 0
    try:
        while not done.is_set():
            if not any(thread.is_alive() for thread in threads):
                done.set()  # one look more, after the last commit
            reader.look()
            looks += 1
            if looks % 50 == 0:
                connection.close()
    finally:
        for thread in threads:
            thread.join()
    assert not failed
    assert reader.resets == 0
    assert reader.known == dict(Job.objects.values_list("pk", "comment"))
    assert looks > 20


@pytest.mark.usefixtures("lazy_log")
def test_numbers_that_a_crash_gives_out_again_are_told(postgresql: PostgreSQL, ids: list[int]) -> None:
    """Of transactions that were rolled back: the log that was written knows nothing of them."""
    Job.objects.filter(pk=ids[0]).update(comment="before")
    reader = Reader()
    for crash in range(5):  # the server may write its log all the same, and then it knows the numbers
        rolled_back = _rolled_back(postgresql, ids[1])
        reader.look()
        connection.close()
        postgresql.kill()
        postgresql.start()
        for job_id in ids:
            Job.objects.filter(pk=job_id).update(comment=f"after {crash}")
        reader.look()
        assert reader.known == dict.fromkeys(ids, f"after {crash}")
        if Job.objects.order_by("change").values_list("change", flat=True)[0] < rolled_back:
            return
    pytest.fail("no number came again after five crashes")


def _rolled_back(postgresql: PostgreSQL, job_id: int) -> int:
    """The number of the last of many transactions that were rolled back."""
    with closing(postgresql.connect()) as session, session.cursor() as cursor:
        for _ in range(150):
            cursor.execute("BEGIN")
            cursor.execute(WRITE, ["rolled back", job_id])
            cursor.execute("SELECT txid_current()")
            number = int(cursor.fetchone()[0])
            cursor.execute("ROLLBACK")
    return number


def test_after_a_restore_one_must_load_again(postgresql: PostgreSQL, ids: list[int], scratch: Any) -> None:
    reader = Reader()
    dump = scratch / "dump"
    run_program("pg_dump", postgresql, "-Fc", "-f", str(dump), postgresql.database)
    url = postgresql.create_database("restored")
    try:
        run_program("pg_restore", postgresql, "-d", "restored", str(dump))
        with on_database(url):
            _number_as_by_a_server_that_has_written_more(ids[0])
            reader.look()
            assert reader.resets == 1
            Job.objects.filter(pk=ids[3]).update(comment="restored")
            reader.look()
            reader.look()
            assert reader.known == dict(Job.objects.values_list("pk", "comment"))
            assert (reader.resets, reader.known[ids[3]]) == (1, "restored")
            connections["default"].close()
    finally:
        postgresql.drop_database("restored")


def _number_as_by_a_server_that_has_written_more(job_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")  # without the trigger
        cursor.execute("UPDATE jobs_job SET change = change + 1000000000000 WHERE id = %s", [job_id])
        cursor.execute("RESET session_replication_role")
