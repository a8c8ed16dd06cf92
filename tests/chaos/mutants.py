"""Patches that break one promise each in the fleet's copy of the source, so that the checker is seen to find it.

They are edits of the product's text, made by the run in its own copy; the product has no setting for any of them. An
edit that no longer fits the source is an error: a mutant that changes nothing would prove nothing.
"""

from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checks import Promise

CLAIM = "jobs/sql/postgresql/claim.py"
DEVICES = "jobs/sql/postgresql/devices.py"
WITHDRAW = "jobs/api/withdraw.py"
FINISH = "jobs/sql/postgresql/finish.py"


@dataclass(frozen=True, kw_only=True)
class Edit:
    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Mutant:
    says: str
    promise: Promise  # that the checker must find broken
    edits: tuple[Edit, ...]
    faults: tuple[str, ...] = ()  # the kinds that show it; none: any


MUTANTS = {
    "claim": Mutant(
        says="a claim no longer asks whether the job still waits",
        promise=Promise.ONCE,
        edits=(
            Edit(
                file=CLAIM,
                old="id = %(job)s AND status = '{_FROM}' AND task_name",
                new="id = %(job)s AND status IN ('{_FROM}', 'RUNNING') AND task_name",
            ),
        ),
        faults=("messages duplicated",),
    ),
    "early": Mutant(
        says="a claim no longer asks whether the job is due",
        promise=Promise.TIME,
        edits=(Edit(file=CLAIM, old="\n        AND scheduled_time <= statement_timestamp()", new=""),),
        faults=("messages duplicated",),
    ),
    "alone": Mutant(
        says="a claim no longer asks whether a second person has approved the job",
        promise=Promise.APPROVED,
        edits=(
            Edit(file=CLAIM, old='statement_timestamp() AND unapproved IS NULL"""', new='statement_timestamp()"""'),
            Edit(file=CLAIM, old="parked = FALSE,", new="parked = FALSE, unapproved = NULL,"),  # else the table refuses
        ),
        faults=("messages duplicated",),
    ),
    "foreign": Mutant(
        says="a claim no longer asks whether the message names the job's own task",
        promise=Promise.BODY,
        edits=(Edit(file=CLAIM, old=" AND task_name = %(task)s", new=" AND %(task)s IS NOT NULL"),),
        faults=("messages duplicated",),
    ),
    "unheard": Mutant(
        says="readers of live events are not told of jobs that ended badly",
        promise=Promise.EVENTS,
        edits=(
            Edit(
                file="jobs/feed/objects.py",
                old='.defer("finished_devices", "start_arguments").filter(pk__in=ids)',
                new='.defer("finished_devices", "start_arguments").filter(pk__in=ids, exception_type=None)',
            ),
        ),
    ),
    "lock": Mutant(
        says="a claim no longer asks whether the job's lock is free",
        promise=Promise.CAUSE,  # fencing keeps the devices safe: the previous holder ends as LockLost without a reason
        edits=(
            Edit(
                file=CLAIM,
                old="WHERE name = %(lock)s AND holder_id IS NULL FOR UPDATE",
                new="WHERE name = %(lock)s FOR UPDATE",
            ),
        ),
    ),
    "turn": Mutant(
        says="a claim no longer asks whose turn it is, and the last in line is woken first",
        promise=Promise.TURN,
        edits=(
            Edit(
                file=CLAIM, old="(first.scheduled_time, first.id) <", new="FALSE AND (first.scheduled_time, first.id) <"
            ),
            Edit(
                file="jobs/sql/common.py",
                old="ORDER BY scheduled_time, id LIMIT 1\n    ) RETURNING",
                new="ORDER BY scheduled_time DESC, id DESC LIMIT 1\n    ) RETURNING",
            ),
        ),
    ),
    "fencing": Mutant(
        says="a safe point no longer looks at the tokens",
        promise=Promise.HOLDERS,
        edits=(
            Edit(
                file="jobs/body/context.py",
                old="if not seen.is_mine:",
                new="if False:",
            ),
            Edit(
                file="jobs/body/context.py",
                old="elif seen.fence != self._run.fence:",
                new="elif False:",
            ),
        ),
        faults=("worker frozen", "worker's main process frozen"),
    ),
    "stale": Mutant(
        says="a claim or a safe point goes by an answer however long that was on its way",
        promise=Promise.HOLDERS,
        edits=(
            Edit(
                file="jobs/fleet/asking.py",
                old="return seconds >= conf.worker_lost_seconds / 2",
                new="return seconds >= conf.worker_lost_seconds * 1000",
            ),
        ),
        faults=("host cut off from PostgreSQL",),
    ),
    "taken": Mutant(
        says="a participant takes devices that another has in hand",
        promise=Promise.DEVICES,
        edits=(
            Edit(
                file=DEVICES,
                old="AND {FREE} AND (tries > 0) = %(tried)s",
                new="AND state <> '{JobDeviceState.DONE}' AND (tries > 0) = %(tried)s",
            ),
        ),
        faults=("joins duplicated",),
    ),
    "judged": Mutant(
        says="a participant that was judged lost goes on",
        promise=Promise.HOLDERS,
        edits=(
            Edit(
                file=DEVICES,
                old="SELECT 1 AS mine FROM {PARTICIPANT} WHERE token = %(token)s FOR KEY SHARE",
                new="SELECT 1 AS mine WHERE %(token)s::uuid IS NOT NULL",
            ),
        ),
        faults=("participants frozen",),
    ),
    "republish": Mutant(
        says="upkeep no longer sends a lost message again",
        promise=Promise.STARTS,
        edits=(Edit(file="jobs/upkeep/runner.py", old="Step(UpkeepStep.REPUBLISH, Republish().step),", new=""),),
        faults=("broker purged",),
    ),
    "rescue": Mutant(
        says="upkeep no longer rescues the jobs of a lost worker",
        promise=Promise.RESCUE,
        edits=(Edit(file="jobs/upkeep/runner.py", old="Step(UpkeepStep.RESCUE, Rescue(own_heartbeat).step),", new=""),),
        faults=("worker killed",),
    ),
    "limits": Mutant(
        says="PostgreSQL no longer ends a transaction whose client is silent",
        promise=Promise.REMNANTS,
        edits=(Edit(file="cnaasjobs/db/limits.py", old='    "idle_in_transaction_session_timeout": "20s",\n', new=""),),
        faults=("host vanished in a transaction",),
    ),
    "writes": Mutant(
        says="a database that takes no writes is somebody's mistake, not one that may do so in a moment",
        promise=Promise.POSTS,
        edits=(
            Edit(file="cnaasjobs/db/not_now.py", old='"25006": "it takes', new='"25007": "it takes'),
            Edit(file="cnaasjobs/db/not_now.py", old='{"25006", "53100",', new='{"53100",'),
        ),
        faults=("PostgreSQL takes no writes",),
    ),
    "key": Mutant(
        says="the key of a job that had started when the outcome of its request became known is given up",
        promise=Promise.KEYS,
        edits=(
            Edit(
                file=WITHDRAW,
                old="        if row:\n            return",
                new="        if row and row.delete():\n            return",
            ),
        ),
        faults=("web cut off in a COMMIT",),
    ),
    "withdraw": Mutant(
        says="a job whose request was answered 503 is taken back whatever has become of it",
        promise=Promise.WITHDRAWN,
        edits=(
            Edit(file=WITHDRAW, old="if job.status == Status.SCHEDULED and not job.attempt:", new="if job.status:"),
        ),
        faults=("web cut off in a COMMIT",),
    ),
    "publish": Mutant(
        says="a POST waits for a silent broker as long as that takes",
        promise=Promise.POSTS,
        edits=(
            Edit(
                file="cnaasjobs/conf/table.py",
                old="publish_timeout_seconds = Real(0.7,",
                new="publish_timeout_seconds = Real(8.0,",
            ),
        ),
        faults=("web cut off from the broker",),
    ),
    "finish": Mutant(
        says="a finish no longer asks whether its run still holds the job",
        promise=Promise.ONE_END,
        edits=(
            Edit(
                file=FINISH,
                old="WHERE id = %(job)s AND status = '{_FROM}' AND run_token = %(token)s{{after_release}}",
                new="WHERE id = %(job)s{{after_release}}",
            ),
            # The constraints of the database would refuse a second end all by themselves.
            Edit(
                file=FINISH,
                old="finish_time = statement_timestamp(), run_token = NULL, fence = NULL,",
                new="finish_time = statement_timestamp(), run_token = NULL, fence = NULL,"
                " exception_type = NULL, parked = FALSE,",
            ),
            Edit(
                file=FINISH,
                old="SELECT id, %(result)s, %(bytes)s FROM done RETURNING 1",
                new="SELECT id, %(result)s, %(bytes)s FROM done"
                " ON CONFLICT (job_id) DO UPDATE SET result = excluded.result RETURNING 1",
            ),
        ),
        faults=("worker frozen", "worker's main process frozen"),
    ),
}


def apply(name: str, tree: Path) -> Mutant:
    """Patch the copy of the source at ``tree``.

    Raises:
        ValueError: no such mutant, or the source has changed under it.
    """
    if name not in MUTANTS:
        raise ValueError(f"MUTANT={name}: there are {', '.join(MUTANTS)}")
    mutant = MUTANTS[name]
    for edit in mutant.edits:
        path = tree / edit.file
        text = path.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"mutant {name} does not fit {edit.file} any more: {edit.old!r}")
        path.write_text(text.replace(edit.old, edit.new))
    return mutant
