"""The families that Prometheus reads. A scrape reads what is bounded: live jobs, locks, heartbeats, and the table."""

import json
from collections import Counter
from collections.abc import Iterator

from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cnaasjobs.db.clock import DatabaseNow
from jobs.liveness.life import not_stopped
from jobs.metrics.families import COUNTERS, HISTOGRAMS, LOOKED, READERS, SECONDS, SUCCESS
from jobs.metrics.kept import Kept, all_kept
from jobs.models import Job, JobApproval
from jobs.sql import store, totals, waiting
from jobs.states import Status
from jobs.upkeep_steps import UpkeepStep
from jobs.waiting_rows import SENT, UNSENT, in_line
from locks import service as locks

PREFIX = "cnaasjobs_"


class DatabaseCollector(Collector):
    """Asks the database at each scrape, and keeps nothing."""

    def collect(self) -> Iterator[Metric]:
        yield from _jobs()
        yield from _queues()
        yield from _locks()
        yield from _processes()
        yield from _kept()
        yield _gauge("feed_change", "The number of the newest change in the change feed.", value=store().position().top)


def _gauge(name: str, words: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", words, labels=labels or None, value=value)


def _jobs() -> Iterator[Metric]:
    live = _gauge("jobs", "Jobs that wait or run.", "status", "function")
    for status, parts in ((Status.SCHEDULED, [part.condition for part in waiting.parts()]), (Status.RUNNING, [Q()])):
        jobs: Counter[str] = Counter()
        for part in parts:
            rows = Job.objects.filter(part, status=status.value).order_by().values("function_name")
            for row in rows.annotate(jobs=Count("pk")):
                jobs[row["function_name"]] += row["jobs"]
        for function_name, number in jobs.items():
            live.add_metric([status.value, function_name], number)
    yield live
    yield _gauge(
        "jobs_unapproved", "Jobs that wait for approval.", value=JobApproval.objects.filter(verdict="").count()
    )
    yield _gauge("jobs_kept", "Jobs in the database, ended ones too.", value=totals.total(Job.objects.all()))


def _queues() -> Iterator[Metric]:
    """A parked job waits in a lock's line, which is no queue's fault."""
    oldest: dict[str, float] = {}
    for part in (SENT, UNSENT):
        due = Job.objects.filter(part, status=Status.SCHEDULED.value, scheduled_time__lte=DatabaseNow())
        for row in due.order_by().values("queue").annotate(oldest=Min("scheduled_time")):
            since = row["oldest"].timestamp()
            oldest[row["queue"]] = min(since, oldest.get(row["queue"], since))
    since_when = _gauge(
        "queue_oldest_due_timestamp_seconds", "When the longest waiting job of a queue fell due.", "queue"
    )
    for queue, since in oldest.items():
        since_when.add_metric([queue], since)
    yield since_when


def _locks() -> Iterator[Metric]:
    since = _gauge("lock_held_since_timestamp_seconds", "When the lock's holder got it.", "lock")
    for lock in locks.held():
        if lock.start_time is not None:
            since.add_metric([lock.name], lock.start_time.timestamp())
    yield since
    in_lines = _gauge("lock_waiting", "Jobs in line for a lock.", "lock")
    jobs: Counter[str] = Counter()
    for part in waiting.parts():
        lines = Job.objects.filter(part.condition, in_line(), status=Status.SCHEDULED.value)
        for row in lines.order_by().values("lock_name").annotate(jobs=Count("pk")):
            jobs[str(row["lock_name"])] += row["jobs"]
    for lock_name, number in jobs.items():
        in_lines.add_metric([lock_name], number)
    yield in_lines


def _processes() -> Iterator[Metric]:
    """Workers and Beats that have not stopped. One that vanished stays here until upkeep finds out."""
    seen = _gauge("heartbeat_timestamp_seconds", "The last heartbeat of a worker or Beat.", "kind", "name")
    slots = _gauge("worker_slots", "Slots of a worker.", "name")
    busy = _gauge("worker_slots_busy", "Slots of a worker in which a job runs.", "name")
    serving = _gauge("queue_slots", "Slots of the workers that serve a queue.", "queue")
    of_queue: dict[str, int] = {}
    for beat in not_stopped():
        seen.add_metric([beat.kind, beat.name], beat.last_seen.timestamp())
        if beat.kind == "worker":
            slots.add_metric([beat.name], beat.concurrency)
            busy.add_metric([beat.name], len(json.loads(beat.run_tokens)))
            for queue in json.loads(beat.queues):
                of_queue[queue] = of_queue.get(queue, 0) + beat.concurrency
    for queue, number in of_queue.items():
        serving.add_metric([queue], number)
    yield from (seen, slots, busy, serving)


def _kept() -> Iterator[Metric]:
    found = all_kept()
    for family in COUNTERS:
        counter = CounterMetricFamily(f"{PREFIX}{family.name}", family.words, labels=family.labels)
        for labels, value, _ in found.get(family.name, []):
            counter.add_metric(labels, value)
        if not family.labels and family.name not in found:
            counter.add_metric([], 0)
        yield counter
    for family in HISTOGRAMS:
        histogram = HistogramMetricFamily(f"{PREFIX}{family.name}", family.words, labels=family.labels)
        for labels, total, spread in found.get(family.name, []):
            histogram.add_metric(labels, list(_cumulated(spread)), total)
        yield histogram
    for family in (READERS, LOOKED):
        state = _gauge(family.name, family.words, *family.labels)
        for labels, value, _ in found.get(family.name, []):
            state.add_metric(labels, value)
        yield state
    yield _successes(found.get(SUCCESS.name, []))
    yield _delay(*(found.get(family.name, []) for family in (READERS, LOOKED)))


def _successes(kept: list[Kept]) -> Metric:
    """When each step that this release has last succeeded.

    The table may hold other steps, of a newer release that was rolled back. Nobody runs them, so an alert on them would
    never end.
    """
    at = {step: value for (step,), value, _ in kept}
    times = _gauge(SUCCESS.name, SUCCESS.words, *SUCCESS.labels)
    for step in UpkeepStep:
        times.add_metric([step.value], at.get(step.value, 0.0))
    return times


def _delay(readers: list[Kept], looked: list[Kept]) -> Metric:
    """The metric has no value while nobody listens, because then no process reads the feed."""
    delay = _gauge("events_delay_seconds", "How old the last look at the change feed is, for those who listen.")
    if looked and any(number for _, number, _ in readers):
        delay.add_metric([], timezone.now().timestamp() - looked[0][1])
    return delay


def _cumulated(spread: list[int]) -> Iterator[tuple[str, float]]:
    so_far = 0
    for bound, number in zip([*map(str, map(float, SECONDS)), "+Inf"], spread, strict=True):
        so_far += number
        yield bound, so_far
