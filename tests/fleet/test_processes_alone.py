"""A worker that has a job alone, and devices that it took ahead, is killed, frozen or told to stop; another goes on.

By the workers' own log no device is in two hands, and each is changed once, unless its row says that this is not known.
"""

import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from jobs.models import Job, JobDevice, Participant
from jobs.states import Status
from tests.fake_jobs.fleets import each_read_first
from tests.fake_jobs.lasting import wait_for_file
from tests.fleet.real import QUICK, Sync, workers
from tests.services.managed import Managed
from tests.services.processes import Platform
from tests.waiting import wait_until

pytestmark = [pytest.mark.needs("postgresql", "rabbitmq"), pytest.mark.long]

AT_ONCE = 4
TIME_TO_JOIN = {"CNAASJOBS_WORKER_LOST_SECONDS": "9"}  # before the one that was alone is judged lost


@pytest.fixture(autouse=True)
def _services(postgresql: object, rabbitmq: object) -> None:
    """Nobody is asked to help where one process writes at a time."""


def process_killed(worker: Managed) -> None:
    for child in worker.children():
        child.kill()
    worker.thaw()


def worker_killed(worker: Managed) -> None:
    worker.kill_tree()


def frozen(_: Managed) -> None:
    """It is thawed when it was judged lost."""


def told_to_stop(worker: Managed) -> None:
    worker.signal(signal.SIGTERM)
    worker.thaw()


@pytest.mark.parametrize(
    ("happens", "dry_run", "ends"),
    [
        (process_killed, False, "WorkerLost"),
        (worker_killed, False, None),
        (frozen, False, None),
        (frozen, True, None),
        (told_to_stop, False, None),
    ],
)
def test_what_a_lone_worker_had_is_only_ever_in_one_hand_and_is_not_forgotten(
    happens: Callable[[Managed], None], dry_run: bool, ends: str | None, platform: Platform, scratch: Path
) -> None:
    platform.beat(env=QUICK | TIME_TO_JOIN)
    workers(platform, "spare")
    busy = wait_for_file.schedule(path=str(scratch / "spare"))
    wait_until(lambda: Job.objects.filter(pk=busy.pk, status=Status.RUNNING).exists(), timeout=30)
    (alone,) = workers(platform, "alone")
    sync, hold = Sync(scratch, 24, task=each_read_first, dry_run=dry_run), Path(f"{scratch}/go.hold")
    first, had = caught(alone, sync)
    if happens in (worker_killed, frozen):
        hold.touch()  # the other one takes part when this one is judged lost
    happens(alone)
    member = Participant.objects.filter(pk=first)
    if happens is process_killed:  # nobody else takes part yet
        wait_until(lambda: not member.exists(), timeout=60)
    (scratch / "spare").touch()
    if hold.exists():
        wait_until(lambda: Participant.objects.exclude(pk=first).exists(), timeout=30)
        assert member.exists()
    wait_until(lambda: not member.exists(), timeout=60)
    before = {kind: len(sync.lines(kind)) for kind in "BC"}
    hold.unlink(missing_ok=True)
    alone.thaw()
    job = sync.ended()
    wait_until(lambda: happens is not frozen or not in_hand(sync, first.int), timeout=30)

    assert (job.status, job.exception_type) == (Status.EXCEPTION if ends else Status.FINISHED, ends)
    late = [[device for device, of in sync.lines(kind)[before[kind] :] if of == first.int] for kind in "BC"]
    begun, changed = (Counter(device for device, _ in sync.lines(kind)) for kind in "BC")
    assert late[0] == []
    left = set()
    for row in JobDevice.objects.filter(job=job):
        is_over = row.state == "DONE" and not row.failed
        shown = row.host, row.state, row.failed, row.reason, row.tries
        assert begun[row.host] <= 1 + (row.tries if dry_run else 0), shown  # again only if it was lost in between
        if "lost in commit" not in (row.reason or ""):
            assert changed[row.host] == int(is_over and not dry_run), shown
            assert row.host not in late[1], shown
        assert changed[row.host] <= 1, shown
        left |= set() if is_over else {row.host}
    if dry_run or happens is told_to_stop:
        assert left == set()
        return
    assert had <= left
    again = each_read_first.schedule(hosts=sorted(left), path=str(scratch / "again"))
    wait_until(lambda: Job.objects.filter(pk=again.pk, status=Status.FINISHED).exists(), timeout=30)


def in_hand(sync: Sync, participant: int) -> set[str]:
    """Devices that it has begun, and not let go of."""
    begun, over = ({device for device, of in sync.lines(kind) if of == participant} for kind in "BE")
    return begun - over


def caught(worker: Managed, sync: Sync) -> tuple[UUID, set[str]]:
    """Freeze it while each of its threads is at a device, of one of which no row says so yet, and it has others ahead.
    Returns the participant, and all these devices.
    """

    def is_caught() -> tuple[UUID, set[str]] | None:
        worker.freeze()
        for member in Participant.objects.filter(job=sync.job):
            held = set(JobDevice.objects.filter(participant=member.pk, state="WAITING").values_list("host", flat=True))
            begun, at = {device for device, _ in sync.lines("B")}, in_hand(sync, member.pk.int)
            if len(at) == AT_ONCE and held & at and held - begun:
                return member.pk, held | at
        worker.thaw()
        return None

    caught = wait_until(is_caught, timeout=30, message="it never had devices ahead")
    assert caught is not None
    return caught
