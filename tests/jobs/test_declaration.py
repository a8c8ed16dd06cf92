"""What ``@job`` refuses while a module is imported: nothing misspelt or impossible goes unnoticed."""

from collections.abc import Callable
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from jobs.errors import JobAborted, LockLost
from jobs.task import JobContext, job
from jobs.testing import exception_of, perform_job


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("rerun_if_los", True, "there is no option rerun_if_los, did you mean rerun_if_lost?"),
        ("lck", "devices", "there is no option lck, did you mean lock?"),
        ("colour", "red", "there is no option colour$"),
        ("acks_late", True, "Celery's option acks_late does not apply to a job"),
        ("bind", True, "Celery's option bind does not apply to a job"),
        ("base", object, "there is no option base"),
        ("expires", 60, "Celery's option expires does not apply to a job"),
        ("lock", ["a", "b"], r"lock is \['a', 'b'\]: Input should be a valid string"),
        ("lock", "x" * 33, "lock is 'xx+': String should have at most 32 characters"),
        ("lock", "", "lock is '': String should have at least 1 character"),
        ("lock_wait", -1, "lock_wait is -1: "),
        ("lock_wait", 1.5, r"lock_wait is 1\.5: "),
        ("queue", "x" * 65, "queue is 'xx+"),
        ("priority", 10, "priority is 10: Input should be less than or equal to 9"),
        ("priority", "high", "priority is 'high': Input should be a valid integer"),
        ("time_limit", 0, "time_limit is 0: Input should be greater than 0"),
        ("soft_time_limit", "600", "soft_time_limit is '600': Input should be a valid number"),
        ("rerun_if_lost", "yes", "rerun_if_lost is 'yes': Input should be a valid boolean"),
        ("helpers", 1001, "helpers is 1001: "),
        ("check", "hosts", "check is 'hosts': Input should be callable"),
        ("function_name", "x" * 119, "function_name is 'xx+"),
        ("autoretry_for", ValueError, "autoretry_for is <class 'ValueError'>: Input should be an instance of Sequence"),
        ("autoretry_for", ("ValueError",), "autoretry_for is .*: Input should be a"),
        ("max_retries", -1, "max_retries is -1: "),
        ("retry_backoff", "yes", "retry_backoff is 'yes': "),
    ],
)
def test_an_option_that_cannot_be_is_named(option: str, value: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"@job: {words}"):
        job(**{option: value})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"approval": lambda arguments, ending: None}, "must have a lock"),
        ({"lock_wait": 60}, "lock_wait= says how long to wait for the lock, and this job has none"),
        ({"soft_time_limit": 60, "time_limit": 60}, "soft_time_limit 60 must be less than time_limit 60"),
    ],
)
def test_options_that_do_not_fit_together_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        job(**options)


def _nothing() -> None: ...
def _by_name_alone(*, hosts: list[str]) -> None: ...
def _all_by_name(**more: Any) -> None: ...
def _by_position(ctx: JobContext, host: str, /) -> None: ...
def _any_number(ctx: JobContext, *hosts: str) -> None: ...
async def _async(ctx: JobContext) -> None: ...


def _generator(ctx: JobContext) -> Any:
    yield 1


class _Callable:
    def __call__(self, ctx: JobContext) -> None: ...


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_nothing, r"_nothing must take its JobContext first, as in def _nothing\(ctx, "),
        (_by_name_alone, "must take its JobContext first"),
        (_all_by_name, "must take its JobContext first"),
        (_by_position, "must take its arguments by name"),
        (_any_number, r"must take its arguments by name, and those of a \* would never be given"),
        (_async, "must be a plain function, neither async nor a generator"),
        (_generator, "must be a plain function, neither async nor a generator"),
        (_Callable(), "takes a function, and its options by name: not <"),
        ("devices", "takes a function, and its options by name: not 'devices'"),
    ],
)
def test_what_a_worker_could_not_call_is_refused(body: Callable[..., Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        job(body)


@pytest.mark.filterwarnings("ignore:Task name")  # Celery's own warning: it takes the first
def test_two_jobs_of_one_name_are_refused_and_one_that_is_loaded_twice_is_not() -> None:
    code = "def twice(ctx): ...\njob(name='tests.twice')(twice)\n"
    for _ in range(2):
        exec(compile(code, "ours/tasks.py", "exec"), {"__name__": "ours.tasks", "job": job})
    with pytest.raises(ValueError, match=r"two jobs have the name tests\.twice: ours/tasks\.py, line 1 and .*, line 4"):
        exec(compile("\n\n\n" + code, "ours/tasks.py", "exec"), {"__name__": "ours.tasks", "job": job})


def test_the_first_parameter_is_never_an_argument() -> None:
    with pytest.raises(ValueError, match="its first parameter, hosts, is the JobContext"):
        forgot_the_context.schedule(hosts=["sw1"])
    with pytest.raises(ValueError, match=r"at is an option of jobs\.dispatch\.schedule"):
        tries_again.schedule(how="aborted", at=None)


@job
def forgot_the_context(hosts: list[str]) -> None: ...


@job(autoretry_for=(Exception,), dont_autoretry_for=(KeyError,), max_retries=1)
def tries_again(ctx: JobContext, *, how: str) -> None:
    raise ENDS[how]


ENDS = {
    "error": ValueError("it broke"),
    "given": KeyError("x"),
    "aborted": JobAborted("enough"),
    "lost": LockLost("gone"),
    "limit": SoftTimeLimitExceeded(),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("how", "type_"),
    [
        ("error", None),
        ("given", "KeyError"),
        ("aborted", "JobAborted"),
        ("lost", "LockLost"),
        ("limit", "TimeLimitExceeded"),
    ],
)
def test_what_stops_a_job_is_not_tried_again_though_every_exception_is(how: str, type_: str | None) -> None:
    job = perform_job(tries_again, how=how)
    assert job.exception_type == type_
    assert job.retries == (type_ is None)
    assert (exception_of(job) is None) == (type_ is None)
