"""Nobody but ``jobs.lifecycle`` writes a job's status: refused when it happens, and searched for in the source."""

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from jobs.guarded_status import StatusIsGuarded, made_up_states
from jobs.models import Job
from jobs.states import TRANSITIONS, Status, Verb
from tests.factory import job_in
from tests.house.named import PACKAGES, ROOT

# --- when it happens --------------------------------------------------------------------------------------------------

ENDED: dict[str, Any] = {"status": "FINISHED", "finish_time": timezone.now()}
BORN: dict[str, Any] = {"scheduled_time": timezone.now(), "task_name": "tests.fake_jobs.nothing", "queue": "default"}


def _set(job: Job) -> Job:
    for name, value in ENDED.items():
        setattr(job, name, value)
    return job


WAYS: dict[str, Callable[[Job], object]] = {
    "update": lambda job: Job.objects.filter(pk=job.pk).update(status="FINISHED"),
    "update of a dict": lambda job: Job.objects.all().order_by("id").update(**ENDED),
    "update of a query on another alias": lambda job: Job.objects.exclude(pk=0).using("default").update(**ENDED),
    "bulk_update": lambda job: Job.objects.bulk_update([_set(job)], [*ENDED]),
    "bulk_update of a generator": lambda job: Job.objects.bulk_update([_set(job)], (name for name in ENDED)),
    "update_or_create": lambda job: Job.objects.update_or_create(pk=job.pk, defaults=ENDED),
    "save": lambda job: _set(job).save(),
    "save of some fields": lambda job: _set(job).save(update_fields=[*ENDED]),
    "save of a stale row, unchanged": lambda job: job.save(),
    "save of a new row over an old one": lambda job: Job(pk=job.pk, **BORN).save(),
    "create": lambda job: Job.objects.create(**BORN, **ENDED),
    "get_or_create": lambda job: Job.objects.get_or_create(comment="none such", defaults={**BORN, **ENDED}),
    "bulk_create": lambda job: Job.objects.bulk_create([Job(**BORN), Job(**BORN, **ENDED)]),
    "bulk_create over old ones": lambda job: Job.objects.bulk_create(
        [Job(pk=job.pk, **BORN)], update_conflicts=True, unique_fields=["id"], update_fields=["status"]
    ),
    "bulk_create over old ones, by position": lambda job: Job.objects.bulk_create(
        [Job(pk=job.pk, **BORN)], None, False, True, ["status"], ["id"]
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("way", WAYS)
def test_a_write_is_refused_when_it_happens(way: str) -> None:
    job = job_in(Status.RUNNING)
    with pytest.raises(StatusIsGuarded, match=r"only jobs\.lifecycle moves it"):
        WAYS[way](Job.objects.get(pk=job.pk))
    assert list(Job.objects.values()) == list(Job.objects.filter(pk=job.pk, status="RUNNING").values())


@pytest.mark.django_db
def test_what_is_no_status_may_be_written() -> None:
    job = job_in(Status.SCHEDULED)
    Job.objects.update(comment="one")
    job.comment = "two"
    job.save(update_fields=["comment"])
    Job.objects.bulk_update([job], ["comment"])
    assert Job.objects.get().comment == "two"
    assert Job.objects.create(**BORN).status == Job(**BORN).status == "SCHEDULED"
    Job.objects.bulk_create([Job(**BORN)])
    assert Job.objects.create(pk=4711, **BORN).pk == 4711
    assert Job.objects.count() == 4


@pytest.mark.django_db
def test_a_verb_moves_only_those_in_the_state_it_starts_from() -> None:
    jobs = {status: job_in(status).pk for status in Status}
    ended = {"finish_time": timezone.now(), "exception_type": "JobAborted"}
    assert Job.objects.filter(pk__in=jobs.values()).transit(Verb.CANCEL, **ended) == 1
    moved = {status: Job.objects.get(pk=pk).status for status, pk in jobs.items()}
    assert moved == {status: status for status in Status} | dict([TRANSITIONS[Verb.CANCEL]])


@pytest.mark.django_db
def test_tests_may_make_states_up_and_the_guard_stands_again_after_it() -> None:
    with made_up_states():
        job = Job.objects.create(**BORN, **ENDED)
    with pytest.raises(StatusIsGuarded):
        Job.objects.update(**ENDED)
    with pytest.raises(ZeroDivisionError), made_up_states():
        raise ZeroDivisionError
    with pytest.raises(StatusIsGuarded):
        job.save()


# --- in the source ----------------------------------------------------------------------------------------------------

WRITING_CALLS = {
    "create",
    "get_or_create",
    "update_or_create",
    "bulk_update",
    "bulk_create",
    "update",
    "Job",
    "setattr",
}
WRITING_CALLS |= {f"a{name}" for name in WRITING_CALLS}
OF_LIFECYCLE = {"transit", "made_up_states"}  # and the stores' claim and finish


def writes(source: str) -> Iterator[str]:
    """The places in this source that write a job's status, or have it written."""
    tree = ast.parse(source)
    knows_jobs = any(re.search(r"\bjobs\.(models|sql)\b", line) for line in map(_line, ast.walk(tree)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _in_call(node, knows_jobs=knows_jobs)
        if knows_jobs and _assigns(node):
            yield ast.unparse(node)
        if sets_status(_text(node)):
            yield _text(node)


def _line(node: ast.AST) -> str:
    """An import, as text."""
    return ast.unparse(node) if isinstance(node, ast.Import | ast.ImportFrom) else ""


def _in_call(node: ast.Call, *, knows_jobs: bool) -> Iterator[str]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    of_store = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "store()"
    if name in OF_LIFECYCLE or (of_store and name in {"claim", "finish"}):
        yield name
    if knows_jobs and name in WRITING_CALLS:
        given = [keyword.arg for keyword in node.keywords]
        inside = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
        if "status" in given or "status" in inside:
            yield ast.unparse(node)


def _assigns(node: ast.AST) -> bool:
    """To an attribute of that name, but an exception's own; to a key of a dictionary."""
    if not isinstance(getattr(node, "ctx", None), ast.Store):
        return False
    if isinstance(node, ast.Attribute):
        return node.attr == "status" and ast.unparse(node.value) != "self"
    return isinstance(node, ast.Subscript) and ast.unparse(node.slice) == "'status'"


def _text(node: ast.AST) -> str:
    """A string, or an f-string with its values left out."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def sets_status(statement: str) -> bool:
    """An SQL statement, or a part of one, that writes the column wherever it is in the list."""
    if "status" not in statement.lower():
        return False
    while (less := re.sub(r"\([^()]*\)", "()", statement)) != statement:
        statement = less
    after_set = re.split(r"\bSET\b", statement, flags=re.IGNORECASE)[1:]
    lists = (re.split(r"\b(?:FROM|WHERE)\b", part, flags=re.IGNORECASE)[0] for part in after_set)
    return any(re.search(r"\bstatus\W*=", assigned, re.IGNORECASE) for assigned in lists)


def test_only_lifecycle_writes_a_status() -> None:
    found = {}
    for path in (
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts
    ):
        if there := list(writes(path.read_text())):
            found[str(path.relative_to(ROOT))] = there
    stores = {f"jobs/sql/{database}/{verb}.py" for database in ("postgresql", "sqlite") for verb in ("claim", "finish")}
    assert found.keys() == {"jobs/lifecycle/transitions.py", "jobs/lifecycle/approval.py", *stores}, found


@pytest.mark.parametrize(
    "line",
    [
        'Job.objects.update(status="FINISHED")',
        'Job.objects.update(**{"status": "FINISHED"})',
        'Job.objects.filter(pk=1).update(comment="x", **{"status": target})',
        'Job.objects.bulk_update(rows, ["comment", "status"])',
        'Job.objects.bulk_create([Job(status="RUNNING")])',
        'Job.objects.update_or_create(pk=1, defaults={"status": "RUNNING"})',
        'setattr(job, "status", "RUNNING")',
        'whatever.status = "RUNNING"',
        'job.status: str = "RUNNING"',
        'job.comment, job.status = "x", "RUNNING"',
        'job.status += "ED"',
        'fields["status"] = "RUNNING"',
        "Job.objects.all().transit(Verb.CANCEL)",
        "store().finish(run, outcome, next_job_id=None)",
        'cursor.execute("UPDATE jobs_job SET status = %s")',
        'cursor.execute("UPDATE jobs_job SET parked = FALSE, status = %s WHERE id = 1")',
        'cursor.execute(f"UPDATE {JOB} SET worker = (SELECT name FROM x WHERE status = 1), status = {to}")',
        "cursor.execute('update jobs_job set \"status\" = 1')",
    ],
)
def test_the_search_finds_each_way_to_write_a_status(line: str) -> None:
    assert list(writes(f"from jobs.models import Job\nfrom jobs.sql import store\n{line}"))


@pytest.mark.parametrize(
    "line",
    [
        'Job.objects.filter(status="FINISHED").update(comment="x")',
        'cursor.execute("UPDATE jobs_job SET parked = FALSE WHERE status = %s")',
        'cursor.execute("UPDATE jobs_job SET parked = FALSE FROM taken WHERE job.status = %s")',
        'return_value = {"status": job.status}',
    ],
)
def test_the_search_finds_nothing_in_what_writes_no_status(line: str) -> None:
    assert not list(writes(f"from jobs.models import Job\n{line}"))
