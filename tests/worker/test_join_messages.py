"""The message of a job that runs already: a second form, exactly this one, passes the guard."""

import json
from typing import Any

import pytest

from jobs.states import JOIN
from jobs.worker.message_guard import Received, Refusal, check

JOB = "tests.fake_jobs.nothing"


def received(*args: Any, **kwargs: Any) -> Received:
    body = json.dumps([args, kwargs, {}]).encode()
    return Received(body, {"task": JOB, "id": "1"}, "application/json", "utf-8")


def test_both_forms_pass() -> None:
    check(received(5), jobs={JOB}, plain_tasks=())
    check(received(5, JOIN), jobs={JOB}, plain_tasks=())


@pytest.mark.parametrize(
    "args",
    [(), ("5",), (5, "joins"), (5, JOIN, JOIN), (5, None), (5, [JOIN]), (JOIN, 5), (0, JOIN), (True, JOIN), (5, 5)],
)
def test_nothing_else_does(args: tuple[Any, ...]) -> None:
    with pytest.raises(Refusal):
        check(received(*args), jobs={JOB}, plain_tasks=())
