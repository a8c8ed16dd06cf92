"""What the worker's main process knows of a run until its end is stored."""

from uuid import uuid4

from celery import current_app
from kombu.message import Message
from kombu.serialization import dumps

from cnaasjobs.events import Event
from jobs.actions import JobAction
from jobs.end_reasons import EndReason
from jobs.worker.ends import Reporter
from jobs.worker.request import JobRequest, in_progress
from tests.fake_jobs import nothing
from tests.waiting import wait_until


def request_of(job_id: int) -> JobRequest:
    """As the consumer makes it of a message."""
    headers = {"id": str(uuid4()), "task": nothing.name, "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    content_type, encoding, body = dumps(((job_id,), {}, {}), serializer="json")  # type: ignore[no-untyped-call]
    form = {"headers": headers, "content_type": content_type, "content_encoding": encoding, "delivery_info": {}}
    message = Message(body, **form)  # type: ignore[no-untyped-call]
    return JobRequest(message, app=current_app, hostname="w1@here", task=nothing)


def test_the_first_report_of_an_end_decides() -> None:
    reporter, request = Reporter(), request_of(1)
    first = reporter.report(request, type=EndReason.TIME_LIMIT_EXCEEDED, message="too long", pid=None)
    later = reporter.report(request, type=EndReason.WORKER_LOST, message="its process is gone", pid=None)
    assert (first, later) == (True, False)
    assert not reporter.is_idle


def test_a_run_is_in_progress_until_its_end_is_stored() -> None:
    """Its process was cut off just as it was done: without a heartbeat that names it, it would be taken for lost."""
    reporter, request = Reporter(), request_of(1)
    request.hand_over()
    reporter.report(request, type=EndReason.TIME_LIMIT_EXCEEDED, message="too long", pid=None)
    request.over()
    assert request.run_token in in_progress.run_tokens()
    request.end_stored()
    assert request.run_token not in in_progress.run_tokens()


def test_an_end_that_can_never_be_stored_holds_up_no_other(heard: list[Event]) -> None:
    """Upkeep ends that job later; a worker that is told to stop must not wait for it."""
    reporter, request = Reporter(), request_of(1)
    request.run_token = "none"
    request.hand_over()
    reporter.report(request, type=EndReason.WORKER_LOST, message="its process is gone", pid=None)
    reporter.start()
    wait_until(lambda: reporter.is_idle)
    assert [event.action for event in heard] == [JobAction.END_FAILED]
    assert in_progress.run_tokens() == []
