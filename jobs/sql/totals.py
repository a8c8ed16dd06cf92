"""How many jobs there are, exactly, without counting them all; and where a deep page begins, without walking to it.

Jobs below a watermark are kept as counts per block of ids; the few above it are counted. The watermark lags behind
every open transaction, so that no job can appear below it; upkeep moves it. Whoever deletes jobs tells ``forget`` in
the same transaction. Both lock the watermark's row, so a job is never counted by one and missed by the other.
"""

from collections import Counter
from collections.abc import Iterable

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db import connection, transaction
from django.db.models import F, QuerySet

from jobs.models import Job, JobBlock, Watermark

_STEP = 200_000  # ids counted in one move at most

_KEPT = "SELECT below, (SELECT sum(jobs) FROM jobs_jobblock) FROM jobs_watermark"
# Not in one statement: of an id that it cannot see, PostgreSQL expects a third of all rows above, and starts workers.
_ABOVE = "SELECT count(*) FROM jobs_job WHERE id >= %s"

# The block in which the row number %s lies, and how many rows lie before that block.
_BLOCK_OF = """
    SELECT id, before, jobs FROM (
        SELECT id, jobs, sum(jobs) OVER (ORDER BY id) - jobs AS before FROM jobs_jobblock
    ) AS counted WHERE before <= %s ORDER BY id DESC LIMIT 1
"""


def total(queryset: QuerySet[Job]) -> int:
    """Rows that match; the unfiltered total is kept, any other is counted."""
    if queryset.query.where:
        return _count_filtered(queryset)
    with connection.cursor() as cursor:
        cursor.execute(_KEPT)
        below, kept = cursor.fetchone() or (0, 0)
        cursor.execute(_ABOVE, [below])
        return int(kept or 0) + int(cursor.fetchone()[0])


def _count_filtered(queryset: QuerySet[Job]) -> int:
    """What ``queryset.count()`` does, which copies and builds the query for longer than a small count takes."""
    compiler = queryset.query.get_compiler(connection=connection)
    try:
        where, parameters = compiler.compile(queryset.query.where)
    except (EmptyResultSet, FullResultSet):  # Django knows without asking
        return queryset.count()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM jobs_job WHERE {where}", parameters)
        return int(cursor.fetchone()[0])


def page(queryset: QuerySet[Job], start: int, size: int, total: int) -> QuerySet[Job]:
    """Rows ``start`` to ``start + size`` of a query; of all jobs by id, up or down, without walking there."""
    order = tuple(queryset.query.order_by) or ("id",)
    if queryset.query.where or start < JobBlock.BLOCK or order not in {("id",), ("-id",)}:
        return queryset[start : start + size]
    if order == ("-id",):
        first = max(0, total - start - size)
        size = min(size, total - start)
        ids = _from(first).values("id")[: max(0, size)]
        return Job.objects.filter(pk__in=list(ids.values_list("id", flat=True))).order_by("-id")
    return _from(start)[:size]


def _from(start: int) -> QuerySet[Job]:
    """All jobs by id from row number ``start`` on, beginning at that row's block."""
    with connection.cursor() as cursor:
        cursor.execute(_BLOCK_OF, [start])
        block, before, jobs = cursor.fetchone() or (0, 0, 0)
    first, further = block * JobBlock.BLOCK, start - int(before)
    if jobs == JobBlock.BLOCK and further < jobs:  # no gap: the row's number is its id
        return Job.objects.filter(pk__gte=first + further).order_by("id")
    return Job.objects.filter(pk__gte=first).order_by("id")[further:]


def forget(job_ids: Iterable[int]) -> None:
    """Jobs with these ids are deleted in this very transaction. Call it before the deletion."""
    mark = _locked()
    gone = Counter(job_id // JobBlock.BLOCK for job_id in job_ids if job_id < mark.below)
    for block, jobs in gone.items():
        JobBlock.objects.filter(pk=block).update(jobs=F("jobs") - jobs)


def advance() -> int:
    """Move the watermark as far as open transactions allow. Returns how many ids it moved."""
    with transaction.atomic():
        mark = _locked()
        moved = 0
        if mark.candidate > mark.below and _all_ended(mark.candidate_xid):
            target = min(mark.candidate, mark.below + _STEP)
            moved = target - mark.below
            _count(mark.below, target)
            mark.below = target
        if mark.below >= mark.candidate:
            newest = Job.objects.order_by("-id").values_list("id", flat=True).first()
            mark.candidate = (newest or 0) + 1
            mark.candidate_xid = _transaction_id()
        mark.save()
    return moved


def _locked() -> Watermark:
    mark = Watermark.objects.select_for_update().filter(pk=1).first()
    if mark is None:
        Watermark.objects.bulk_create([Watermark()], ignore_conflicts=True)
        mark = Watermark.objects.select_for_update().get(pk=1)
    return mark


def _count(first: int, below: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO jobs_jobblock (id, jobs) SELECT id / {JobBlock.BLOCK}, count(*) FROM jobs_job"
            " WHERE id >= %s AND id < %s GROUP BY 1"
            " ON CONFLICT (id) DO UPDATE SET jobs = jobs_jobblock.jobs + excluded.jobs",
            [first, below],
        )


def _transaction_id() -> int | None:
    """A transaction number of our own: whoever took a job's id before now is older, or has an older snapshot."""
    if connection.vendor != "postgresql":
        return None  # SQLite has one writer, and that is us
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


def _all_ended(xid: int | None) -> bool:
    """Every transaction that was open when ``xid`` was given out has ended, also one that has no number yet."""
    if xid is None:
        return True
    with connection.cursor() as cursor:
        # backend_xmin: a statement between taking its id from the sequence and its transaction number has a snapshot.
        # Numbers wrap at 32 bits; age() compares them as PostgreSQL does.
        cursor.execute(
            "SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            " AND greatest(age(backend_xid), age(backend_xmin)) >= age((%s %% 4294967296)::bigint::text::xid))",
            [xid],
        )
        return bool(cursor.fetchone()[0])
