"""The database's own account: triggers of the run write down each change of a job and of a lock, and each heartbeat.

A change counts from its commit (``track_commit_timestamp``), not from the statement: until then nobody saw it.
"""

from collections.abc import Sequence
from dataclasses import replace

from tests.chaos.record import Change, DeviceRow, Membership, Row, Tenure
from tests.services import PostgreSQL

_CHANGE = (
    *("job", "at", "before", "after", "old_token", "new_token"),
    *("worker", "retries", "exception_type", "due", "unapproved", "key"),
)
SETTINGS = {"track_commit_timestamp": "on"}

_TRIGGERS = """
CREATE TABLE chaos_job (
    seq bigserial, job bigint, before text, after text, old_token uuid, new_token uuid, worker text, retries int,
    exception_type text, due timestamptz, unapproved boolean, key text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE chaos_lock (
    seq bigserial, name text, old_holder bigint, old_fence bigint, new_holder bigint, new_fence bigint,
    at timestamptz DEFAULT clock_timestamp());

CREATE TABLE chaos_participant (
    seq bigserial, job bigint, token uuid, worker text, is_in boolean, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE chaos_beat (pid int, at timestamptz DEFAULT clock_timestamp());

CREATE FUNCTION chaos_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO chaos_job (job, after, new_token, retries, due, unapproved, key)
        VALUES (NEW.id, NEW.status, NEW.run_token, NEW.retries, NEW.scheduled_time, NEW.unapproved, NEW.comment);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO chaos_job (job, before, after, old_token, worker, retries, due)
        VALUES (OLD.id, OLD.status, 'DELETED', OLD.run_token, OLD.worker, OLD.retries, OLD.scheduled_time);
    ELSIF (OLD.status, OLD.run_token, OLD.finish_time, OLD.unapproved)
            IS DISTINCT FROM (NEW.status, NEW.run_token, NEW.finish_time, NEW.unapproved) THEN
        INSERT INTO chaos_job
            (job, before, after, old_token, new_token, worker, retries, exception_type, due, unapproved)
        VALUES (NEW.id, OLD.status, NEW.status, OLD.run_token, NEW.run_token, coalesce(NEW.worker, OLD.worker),
                NEW.retries, NEW.exception_type, NEW.scheduled_time, NEW.unapproved);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION chaos_lock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.holder_id, OLD.fence) IS DISTINCT FROM (NEW.holder_id, NEW.fence) THEN
        INSERT INTO chaos_lock (name, old_holder, old_fence, new_holder, new_fence)
        VALUES (NEW.name, OLD.holder_id, OLD.fence, NEW.holder_id, NEW.fence);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION chaos_participant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO chaos_participant (job, token, worker, is_in) VALUES (NEW.job_id, NEW.token, NEW.worker, TRUE);
    ELSE
        INSERT INTO chaos_participant (job, token, worker, is_in) VALUES (OLD.job_id, OLD.token, OLD.worker, FALSE);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT OR DELETE ON jobs_participant
    FOR EACH ROW EXECUTE FUNCTION chaos_participant();
CREATE FUNCTION chaos_beat() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_beat (pid) VALUES (NEW.pid);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT OR UPDATE OF counter ON jobs_heartbeat FOR EACH ROW EXECUTE FUNCTION chaos_beat();
CREATE TRIGGER chaos AFTER INSERT OR UPDATE OR DELETE ON jobs_job FOR EACH ROW EXECUTE FUNCTION chaos_job();
CREATE TRIGGER chaos AFTER UPDATE ON locks_lock FOR EACH ROW EXECUTE FUNCTION chaos_lock();
"""

_COMMIT = "extract(epoch FROM coalesce(pg_xact_commit_timestamp(xmin), at))::float8"


def install(server: PostgreSQL) -> None:
    """After the migrations, before the first job."""
    server.execute(_TRIGGERS)


def changes(server: PostgreSQL) -> list[Change]:
    rows = server.execute(
        f"SELECT job, {_COMMIT}, before, after, old_token::text, new_token::text, worker, retries, exception_type,"
        " extract(epoch FROM due)::float8, coalesce(unapproved, FALSE), key FROM chaos_job ORDER BY seq"
    )
    return [Change(**dict(zip(_CHANGE, row, strict=True))) for row in rows]


def tenures(server: PostgreSQL) -> list[Tenure]:
    found: dict[tuple[str, int, int], Tenure] = {}
    sql = f"SELECT name, {_COMMIT}, old_holder, old_fence, new_holder, new_fence FROM chaos_lock ORDER BY seq"
    for name, at, old_holder, old_fence, new_holder, new_fence in server.execute(sql):
        if old_holder is not None:
            held = found[name, old_holder, old_fence]
            found[name, old_holder, old_fence] = Tenure(**{**vars(held), "until": at})
        if new_holder is not None:
            key = name, new_holder, new_fence
            found[key] = Tenure(lock=name, job=new_holder, fence=new_fence, since=at, until=None)
    return list(found.values())


def memberships(server: PostgreSQL) -> list[Membership]:
    """Each process that took part in a job's devices, while it did."""
    found: dict[str, Membership] = {}
    sql = f"SELECT job, token::text, worker, is_in, {_COMMIT} FROM chaos_participant ORDER BY seq"
    for job, token, worker, is_in, at in server.execute(sql):
        if is_in:
            found[token] = Membership(job=job, token=token, worker=worker, since=at, until=None)
        else:
            found[token] = replace(found[token], until=at)
    return list(found.values())


def devices(server: PostgreSQL) -> list[DeviceRow]:
    """What is said of each device in the end."""
    sql = (
        "SELECT job_id, host, state, failed, reason, tries, participant::text FROM jobs_jobdevice"
        " JOIN jobs_job ON jobs_job.id = job_id WHERE jobs_job.task_name LIKE 'tests.chaos.%' ORDER BY job_id, place"
    )
    names = ("job", "host", "state", "failed", "reason", "tries", "participant")
    return [DeviceRow(**dict(zip(names, row, strict=True))) for row in server.execute(sql)]


def beats(server: PostgreSQL) -> dict[int, list[float]]:
    """When each process wrote its heartbeat."""
    found: dict[int, list[float]] = {}
    for pid, at in server.execute(f"SELECT pid, {_COMMIT} FROM chaos_beat ORDER BY 2"):
        found.setdefault(pid, []).append(at)
    return found


def rows(server: PostgreSQL) -> list[Row]:
    found = server.execute("SELECT id, task_name, status, exception_type, lock_name FROM jobs_job ORDER BY id")
    return [
        Row(job=job, kind=task.rpartition(".")[2], status=status, exception_type=exception_type, lock=lock)
        for job, task, status, exception_type, lock in found
    ]


def unfinished(server: PostgreSQL) -> list[tuple[int, str, str]]:
    """Id, task and status of every job that has not ended."""
    return [
        (int(job), str(task), str(status))
        for job, task, status in server.execute(
            "SELECT id, task_name, status FROM jobs_job WHERE status IN ('SCHEDULED', 'RUNNING') ORDER BY id"
        )
    ]


def with_messages(server: PostgreSQL) -> list[tuple[int, str]]:
    """Id and task of jobs whose message was, is, or will be on its way: waiting, in line, not yet due, running, ended.

    Not those that may have lost theirs: a copy would not be a copy, but a rescue.
    """
    return [
        (int(job), str(task))
        for job, task in server.execute(
            "(SELECT id, task_name FROM jobs_job WHERE status = 'RUNNING')"
            " UNION (SELECT id, task_name FROM jobs_job WHERE status = 'SCHEDULED'"
            "    AND (dispatched_at IS NULL OR dispatched_at > clock_timestamp() - interval '1 second'))"
            " UNION (SELECT id, task_name FROM jobs_job WHERE finish_time IS NOT NULL"
            "    ORDER BY finish_time DESC LIMIT 10)"
        )
    ]


def of_kind(server: PostgreSQL, kind: str) -> list[int]:
    """The jobs of this kind that run or wait, and the last that have ended."""
    sql = "SELECT id FROM jobs_job WHERE task_name = %s ORDER BY finish_time DESC NULLS FIRST, id LIMIT 6"
    return [int(job) for (job,) in server.execute(sql, f"tests.chaos.bodies.{kind}")]


def struck(server: PostgreSQL) -> int:
    """RUNNING jobs and held locks at this moment."""
    ((count,),) = server.execute(
        "SELECT (SELECT count(*) FROM jobs_job WHERE status = 'RUNNING')"
        " + (SELECT count(*) FROM locks_lock WHERE holder_id IS NOT NULL)"
    )
    return int(count)


def held_by(server: PostgreSQL, ports: Sequence[int]) -> int:
    """Locks of sessions whose client had these ports: those of open transactions that stand idle, and advisory ones."""
    ((count,),) = server.execute(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE client_port = ANY(%s) AND granted AND (locktype = 'advisory' OR (locktype IN ('transactionid',"
        " 'relation') AND state LIKE 'idle in transaction%%'))",
        list(ports),
    )
    return int(count)
