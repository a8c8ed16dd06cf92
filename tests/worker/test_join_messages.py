"""The message that asks for help with a running job: exactly this form passes the guard."""

import json
from dataclasses import replace
from typing import Any

import pytest

from jobs.states import JOIN
from jobs.worker.message_guard import Received, Refusal, check

JOB = "tests.fake_jobs.nothing"


def received(*args: Any, **kwargs: Any) -> Received:
    body = json.dumps([args, kwargs, {}]).encode()
    return Received(body, {"task": JOB, "id": "1"}, "application/json", "utf-8")


def test_a_message_passes_with_and_without_the_word_to_join() -> None:
    check(received(5), jobs={JOB}, plain_tasks=())
    check(received(5, JOIN), jobs={JOB}, plain_tasks=())


@pytest.mark.parametrize(
    "args",
    [(), ("5",), (5, "joins"), (5, JOIN, JOIN), (5, None), (5, [JOIN]), (JOIN, 5), (0, JOIN), (True, JOIN), (5, 5)],
)
def test_a_message_with_any_other_second_argument_is_refused(args: tuple[Any, ...]) -> None:
    with pytest.raises(Refusal):
        check(received(*args), jobs={JOB}, plain_tasks=())


@pytest.mark.parametrize("args", [(5,), (5, JOIN)])
def test_none_is_to_be_kept_until_later(args: tuple[Any, ...]) -> None:
    """A worker would hold it until then, unacknowledged, and so would each one after it."""
    message = replace(received(*args), headers={"task": JOB, "id": "1", "eta": "3000-01-01T00:00:00+00:00"})
    with pytest.raises(Refusal, match="it asks a worker to hold it until later"):
        check(message, jobs={JOB}, plain_tasks=())
    check(replace(message, headers={**message.headers, "eta": None}), jobs={JOB}, plain_tasks=())


@pytest.mark.parametrize(("count", "passes"), [(0, True), (3, True), ("3", False), (-1, False)])
def test_a_quorum_queue_says_how_often_it_delivered(count: Any, passes: bool) -> None:
    message = replace(received(5), headers={"task": JOB, "id": "1", "x-delivery-count": count})
    if passes:
        check(message, jobs={JOB}, plain_tasks=())
    else:
        with pytest.raises(Refusal):
            check(message, jobs={JOB}, plain_tasks=())
