"""What a worker accepts from its queues: each form that passes, and each reason for which another is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest

from jobs.states import JOIN
from jobs.worker.message_guard import MAX_BODY_BYTES, Received, Refusal, UnknownTask, check
from tests.worker.hostile import JOB, STRANGER, Hostile, well_formed

PLAIN = "site.plain"
HEADER = "it has a header that messages of jobs do not have"
VALUE = "one of its headers has a value that messages of jobs do not have"
JSON = "it is not JSON in UTF-8"
BODY = "its body is not the body of a task"
ONE_JOB = "its arguments are not the number of one job"


def checked(message: Hostile) -> None:
    received = Received(message.body, message.headers, message.content_type, message.content_encoding)
    check(received, jobs={JOB}, plain_tasks={PLAIN})


def headed(task: Any = JOB, **headers: Any) -> Hostile:
    """``"-"``: without this header."""
    good = well_formed(task)
    return replace(good, headers={name: value for name, value in {**good.headers, **headers}.items() if value != "-"})


def with_body(body: Any) -> Hostile:
    return replace(well_formed(), body=body if isinstance(body, bytes) else json.dumps(body).encode())


def of_length(size: int) -> Hostile:
    good = well_formed(PLAIN, ["x"])
    return replace(good, body=good.body.replace(b"x", b"x" * (size - len(good.body) + 1)))


@pytest.mark.parametrize(
    "message",
    [
        well_formed(),
        well_formed(args=[2**63 - 1]),
        well_formed(args=[STRANGER, JOIN]),
        well_formed(PLAIN, [1, "x"], {"a": 1}),
        headed(PLAIN, eta="2026-11-24T12:00:00+00:00"),
        headed(
            expires="2026-11-24T12:00:00+00:00", retries=10_000, origin="x" * 255, shadow={}, timelimit=[None, None]
        ),
        headed(redelivered=True, lang=""),
        headed(**{"x-delivery-count": 3}),
        headed(eta="-", group="-", stamps="-"),
        replace(well_formed(), content_encoding="UTF8"),
        of_length(MAX_BODY_BYTES),
    ],
)
def test_each_form_of_message_passes(message: Hostile) -> None:
    checked(message)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(well_formed(), headers=None), "its headers are not a table"),
        (replace(well_formed(), headers=[["task", JOB]]), "its headers are not a table"),
        (headed(compression="gzip"), "it is compressed"),
        (headed(callbacks=[]), HEADER),
        (replace(well_formed(), headers={**well_formed().headers, 5: 5}), HEADER),
        (headed(task=""), VALUE),
        (headed(id=""), VALUE),
        (headed(task="no\0task"), VALUE),  # PostgreSQL would not look for it
        (headed(task="no\ud800task"), VALUE),
        (headed(id=5), VALUE),
        (headed(task=["x"]), VALUE),
        (headed(lang="x" * 256), VALUE),
        (headed(origin=["x"]), VALUE),
        (headed(eta="tomorrow"), VALUE),
        (headed(expires=5), VALUE),
        (headed(retries=True), VALUE),
        (headed(retries=-1), VALUE),
        (headed(retries=10_001), VALUE),
        (headed(redelivered=1), VALUE),
        (headed(group="g"), VALUE),
        (headed(timelimit=[1, None]), VALUE),
        (headed(id="-"), "it names no task, or has no id"),
        (headed(task="-"), "it names no task, or has no id"),
        (
            headed(eta="2026-11-24T12:00:00+00:00"),
            "it asks a worker to hold it until later, as no message of a job does",
        ),
        (of_length(MAX_BODY_BYTES + 1), f"it is longer than {MAX_BODY_BYTES} bytes"),
        (replace(well_formed(), content_type="application/x-yaml"), JSON),
        (replace(well_formed(), content_type=None), JSON),
        (replace(well_formed(), content_encoding="rot13"), JSON),
        (with_body(b"\xff"), JSON),
        (with_body(b"[" * 4000), JSON),
        (with_body(b"[" * 65 + b"]" * 65), "it is nested deeper than 64 levels"),
        (with_body(5), BODY),
        (with_body("[1]"), BODY),
        (with_body([[1], {}]), BODY),
        (with_body({"a": 1, "b": 2, "c": 3}), BODY),
        (with_body([{"a": 1}, {}, {}]), BODY),
        (with_body([[1], [], {}]), BODY),
        (with_body([[1], {}, []]), BODY),
        (with_body([[1], {}, {"chain": []}]), "it asks for other tasks to be called"),
        (well_formed(kwargs={"value": 1}), ONE_JOB),
        *((well_formed(args=args), ONE_JOB) for args in ([], ["1"], [True], [0], [2**63], [1, 2], [1, JOIN, JOIN])),
    ],
)
def test_each_message_that_is_refused_says_why(message: Hostile, reason: str) -> None:
    with pytest.raises(Refusal) as found:
        checked(message)
    assert (str(found.value), type(found.value)) == (reason, Refusal)


@pytest.mark.parametrize(
    ("args", "kwargs", "job_id"),
    [([5], {}, 5), ([5, JOIN], {}, None), (["5"], {}, None), ([5], {"a": 1}, None), ([], {}, None)],
)
def test_a_task_that_is_not_registered_here_may_be_a_job_s(args: Any, kwargs: Any, job_id: int | None) -> None:
    with pytest.raises(UnknownTask) as found:
        checked(well_formed("no.such.task", args, kwargs))
    assert (found.value.task, found.value.job_id) == ("no.such.task", job_id)
