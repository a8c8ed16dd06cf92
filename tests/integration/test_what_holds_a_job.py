"""Each reason for which a job waits, created with a real worker and a real Beat, and read wherever it is shown."""

import io
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

import pytest
from django.core.management import call_command

from cnaasjobs.db.clock import database_now
from jobs.dispatch import scheduling
from jobs.liveness.heartbeat import ProcessKind
from jobs.models import Heartbeat, Job
from jobs.states import Status
from jobs.task import JobTask
from tests import fake_jobs
from tests.admin.conftest import AdminOf
from tests.api.conftest import Api
from tests.console.conftest import PersonOf
from tests.factory import job_row
from tests.fake_jobs.fleets import each_until_file
from tests.fake_jobs.lasting import wait_for_file
from tests.live.conftest import Live
from tests.services.processes import Platform
from tests.waiting import wait_until

SECONDS: Final = 60.0  # a busy machine


class Everywhere:
    """All places, each as it is read there: what holds the job where it says that, and the sentences."""

    def __init__(self, api: Api, live: Live, admin_of: AdminOf, person_of: PersonOf) -> None:
        self._api = api
        self._stream = live.stream().begin()
        self._admin = admin_of("jobs.view_job", name="eve")
        self._person = person_of("jobs.view_job", name="ann")
        self._places: dict[str, Callable[[Job], str]] = {
            "GET /job/<id>/waiting": lambda job: self._texts(self._api.get(f"/job/{job.pk}/waiting").data["waiting"]),
            "jobs list": lambda job: _command("list", job.pk),
            "jobs show": lambda job: _command("show", job.pk),
            "admin, the job's page": lambda job: self._admin.get(f"/jobs/job/{job.pk}/change/"),
            "console, the list": lambda job: self._person.read("/jobs?q=status:scheduled"),
            "console, the job's page": lambda job: self._person.read(f"/jobs/{job.pk}"),
        }

    @staticmethod
    def _texts(reasons: Sequence[dict[str, str]]) -> str:
        return " ".join(reason["text"] for reason in reasons)

    def _holds(self, job: Job) -> list[str]:
        return [reason["holds"] for reason in self._api.get(f"/job/{job.pk}/waiting").data["waiting"]]

    def show(self, job: Job, *holds: str, says: Sequence[str]) -> None:
        wait_until(
            lambda: (
                self._holds(job) == [*holds] and not self._missing(self._places["GET /job/<id>/waiting"], job, says)
            ),
            timeout=SECONDS,
            message=lambda: f"{self._holds(job)}: {self._places['GET /job/<id>/waiting'](job)}",
        )
        for place, read in self._places.items():
            assert (place, self._missing(read, job, says)) == (place, [])

    def told(self, job: Job, *holds: str, says: Sequence[str]) -> None:
        """The stream too, which tells of a change of the job, and not of what changes around it."""
        self.show(job, *holds, says=says)

        def heard() -> bool:
            events = [event["waiting"] for event in self._stream.of("job") if event["id"] == job.pk]
            return any(
                [reason["holds"] for reason in each] == [*holds] and all(said in self._texts(each) for said in says)
                for each in events
            )

        self._stream.wait_for(heard)

    @staticmethod
    def _missing(read: Callable[[Job], str], job: Job, says: Sequence[str]) -> list[str]:
        shown = _spaced(read(job))
        return [said for said in says if _spaced(said) not in shown]


def _spaced(text: str) -> str:
    """Without white space, which markup and tables put everywhere."""
    return "".join(text.split())


def _command(verb: str, job_id: int) -> str:
    out = io.StringIO()
    call_command("jobs", verb, str(job_id), stdout=out)
    return out.getvalue()


def _running(task: JobTask, **arguments: object) -> Job:
    job = scheduling.schedule(task, arguments)
    wait_until(lambda: Job.objects.get(pk=job.pk).status == Status.RUNNING, timeout=SECONDS)
    return job


def _busy(slots: int) -> None:
    """As the worker's own heartbeat says."""
    wait_until(
        lambda: [len(beat.run_tokens.split(",")) for beat in Heartbeat.objects.filter(kind="worker")] == [slots],
        timeout=SECONDS,
    )


def _gone(kind: ProcessKind) -> None:
    wait_until(lambda: not Heartbeat.objects.filter(kind=kind, stopped_at=None).exists(), timeout=SECONDS)


@pytest.mark.django_db(transaction=True)
@pytest.mark.devices  # the console is told of all apps
def test_each_reason_is_shown_everywhere(
    platform: Platform, api: Api, live: Live, admin_of: AdminOf, person_of: PersonOf
) -> None:
    platform.env |= {"CNAASJOBS_HEARTBEAT_SECONDS": "0.2"}
    worker = platform.worker(concurrency=2, wait=False)
    beat = platform.beat(wait=False)
    wait_until(lambda: Heartbeat.objects.count() == 2, timeout=SECONDS, message=worker.output)
    places, release = Everywhere(api, live, admin_of, person_of), platform.directory / "release"

    later = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=3, seconds=59))
    places.told(later, "time", says=["It is due at", "in 3 h 00 min."])

    guarded = scheduling.schedule(fake_jobs.guarded, {})
    places.told(
        guarded,
        "approval",
        says=["It waits for approval by another person: it always does. If nobody approves it, it ends at"],
    )

    holder = _running(each_until_file, hosts=["a1", "a2"], path=str(release))
    second = scheduling.schedule(fake_jobs.with_lock, {})
    held = f"It waits for lock devices, held by job {holder.pk} (each_until_file) for"
    places.told(second, "lock", says=[held, "It is next in line."])
    third = scheduling.schedule(fake_jobs.with_lock, {})
    places.told(third, "lock", says=[held, f"1 job is ahead of it in line for lock devices, first job {second.pk}"])

    _running(wait_for_file, path=str(release))
    _busy(2)
    unserved = scheduling.schedule(fake_jobs.nothing, {})
    busy = "It waits for a free slot of queue default: 2 of 2 slots are busy, 1 job waits there."
    places.told(unserved, "slot", says=[busy])

    elsewhere = scheduling.schedule(fake_jobs.nothing, {}, queue="nobody")
    places.told(elsewhere, "queue", says=["No live worker serves its queue nobody."])

    unknown = job_row("SCHEDULED", task_name="gone.task", scheduled_time=database_now())
    says = "No process here knows its task gone.task. If no worker does, it ends as UnknownTask when"
    places.told(unknown, "task", "slot", says=[says, "It waits for a free slot"])

    beat.freeze()  # its last heartbeat stands: it may be back in a moment
    unsent = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(seconds=0.5))
    places.show(unsent, "slot", says=["Beat is about to send its message to queue default"])
    beat.thaw()

    beat.stop()
    _gone("beat")
    alone = scheduling.schedule(fake_jobs.nothing, {}, at=database_now() + timedelta(hours=1))
    places.told(alone, "time", "beat", says=["No Beat is alive to send its message. The last was", "seen at"])

    release.touch()
    worker.stop()
    _gone("worker")
    places.show(elsewhere, "queue", says=["No live worker serves its queue nobody."])
    left = scheduling.schedule(fake_jobs.nothing, {})
    places.told(left, "queue", says=["No live worker serves its queue default. The last was w1@", "seen at"])
