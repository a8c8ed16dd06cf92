"""Code of those who write jobs, which the platform calls while somebody waits for an answer, or Beat for its turn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error as DatabaseError

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.errors import JobError


@contextmanager
def refusing(what: str, refusal: Callable[[str], JobError]) -> Iterator[None]:
    """Whatever that code raises refuses the request in words, and is logged with its traceback for its author.

    The words name the exception's type only: nobody wrote its text for whoever asked, and it may quote a secret. A
    JobError is an answer already, and that the database is away is not that code's fault: both pass.
    """
    try:
        yield
    except (JobError, DatabaseError):
        raise
    except Exception as exc:  # an author's code may raise anything
        record(JobAction.AUTHORS_CODE_FAILED, exc=exc, code=what)
        raise refusal(f"{what} failed with {type(exc).__name__}; the log has the traceback") from exc
