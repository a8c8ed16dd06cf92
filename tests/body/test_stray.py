"""An exception that ends a thread which a body started: the job's log has it."""

import json
import threading
from collections.abc import Callable

import pytest

from cnaasjobs.events import Event
from jobs.body import stray
from jobs.errors import JobStopped
from jobs.models import JobLog
from jobs.task import JobContext, job
from jobs.testing import perform_job

pytestmark = pytest.mark.django_db(transaction=True)


def _raising(exc: BaseException) -> Callable[[], object]:
    def end() -> None:
        raise exc

    return end


@job
def starts_threads_that_fail(ctx: JobContext) -> None:
    for raised in (ValueError("no such port"), SystemExit(1), JobStopped("told to")):
        thread = threading.Thread(target=_raising(raised), name="reader")
        thread.start()
        thread.join()


def test_it_is_a_line_with_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)  # and back again
    stray.install()
    ended = perform_job(starts_threads_that_fail)
    ((*_, text),) = json.loads(JobLog.objects.get(job=ended).text)
    assert text.startswith("an exception ended thread reader\nTraceback")
    assert text.endswith("ValueError: no such port")


def test_what_python_does_not_know_of_it_is_left_out(heard: list[Event]) -> None:
    stray.log(threading.ExceptHookArgs((ValueError, None, None, None)))
    assert heard == []
    stray.log(threading.ExceptHookArgs((ValueError, ValueError("no such port"), None, None)))
    assert heard[0].fields["thread_name"] == "of the body"
