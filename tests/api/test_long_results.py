"""Results of any length come byte for byte, and without a second copy of them in memory."""

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.api.conftest import API, Api
from tests.factory import job_row
from tests.services import PostgreSQL

KIB = 1024
PIECE = 300 * KIB  # no piece of an answer is longer, on PostgreSQL


def _text(size: int, letter: str = "x") -> str:
    """JSON text of this many bytes."""
    wide = len(letter.encode())
    return '{"a": "' + letter * ((size - 9) // wide) + "." * ((size - 9) % wide) + '"}'


SIZES = [10, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 256 * KIB, 256 * KIB + 1, 600 * KIB + 7, 3_000_000]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
@pytest.mark.parametrize("letter", ["x", "å", "🦆"])
def test_a_result_comes_byte_for_byte(api: Api, letter: str) -> None:
    for size in SIZES:
        stored = _text(size, letter)
        assert len(stored.encode()) == size
        job = job_row("FINISHED", result=stored)
        reply = api.get(f"/job/{job.pk}")
        assert f'"result":{stored},"exception":null'.encode() in reply.raw
        assert reply.headers["Content-Length"] == str(len(reply.raw))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
def test_results_of_all_lengths_stand_in_one_list(api: Api) -> None:
    stored = {job_row("FINISHED", result=_text(size)).pk: _text(size) for size in (*SIZES, *reversed(SIZES))}
    job_row("SCHEDULED")
    broke = {"message": "it broke", "type": "ValueError", "args": ["it broke"], "traceback": None}
    job_row("EXCEPTION", exception=json.dumps(broke))
    reply = api.get("/jobs")
    *ended, waiting, failed = reply.data["jobs"]
    assert {job["id"]: job["result"] for job in ended} == {job_id: json.loads(text) for job_id, text in stored.items()}
    assert (waiting["result"], failed["result"], failed["exception"]) == (None, None, broke)
    assert reply.headers["Content-Length"] == str(len(reply.raw))
    assert reply.headers["X-Total-Count"] == str(len(stored) + 2)


@pytest.mark.needs("postgresql")
def test_an_answer_is_sent_in_pieces(postgresql: PostgreSQL) -> None:
    for size in (3_000_000, *[40 * KIB] * 50):
        job_row("FINISHED", result=_text(size))
    pieces = list(Client().get(f"{API}/jobs?per_page=51"))
    assert sum(map(len, pieces)) > 5_000_000
    assert max(map(len, pieces)) <= PIECE


@pytest.mark.needs("postgresql")
def test_long_results_are_fetched_a_few_at_a_time(postgresql: PostgreSQL) -> None:
    for _ in range(50):
        job_row("FINISHED", result=_text(40 * KIB))
    with CaptureQueriesContext(connection) as queries:
        Client().get(f"{API}/jobs")
    assert len([query for query in queries if "jobs_joboutcome" in query["sql"]]) == 1 + -(-50 // 6)
