"""What the promises cost by themselves: a bare Celery task that claims and ends a job of the product.

It has the product's two statements, prepared, each its own commit, and nothing else of it: no log, no context of a run,
no limits, no heartbeat, no supervision. No tuning of the product can save the difference between this and the bare
loop.
"""

import json
import time
from uuid import uuid4

from benchmarks.baselines.bare_celery import application, connection

QUEUE = "guarded"
START = """
    PREPARE start (bigint, text, uuid) AS
    UPDATE jobs_job SET status = 'RUNNING', start_time = statement_timestamp(), run_token = $3, fence = NULL,
        worker_id = NULL, worker = 'guarded', attempt = attempt + 1, finished_devices = '[]', parked = FALSE,
        waiting_since = NULL
    WHERE id = $1 AND status = 'SCHEDULED' AND task_name = $2 AND scheduled_time <= statement_timestamp()
        AND lock_name IS NULL
    RETURNING attempt, retries, start_arguments, lock_name, fence, scheduled_by, comment, ticket_ref
"""
FINISH = """
    PREPARE finish (bigint, uuid, text) AS
    WITH done AS (
        UPDATE jobs_job SET status = 'FINISHED', finish_time = statement_timestamp(), run_token = NULL, fence = NULL,
            finished_devices = '[]', change_score = NULL
        WHERE id = $1 AND status = 'RUNNING' AND run_token = $2
        RETURNING id
    )
    INSERT INTO jobs_joboutcome (job_id, result) SELECT id, $3 FROM done RETURNING 1
"""

app = application(QUEUE)


def run(task_name: str, job_id: int) -> None:
    token = str(uuid4())
    with connection(START, FINISH).cursor() as cursor:
        cursor.execute("EXECUTE start (%s, %s, %s)", [job_id, task_name, token])
        if cursor.fetchone():
            cursor.execute("EXECUTE finish (%s, %s, %s)", [job_id, token, json.dumps({"started": time.time()})])


@app.task(name="benchmarks.bodies.noop")
def noop(job_id: int) -> None:
    run("benchmarks.bodies.noop", job_id)


@app.task(name="benchmarks.bodies.started_at")
def started_at(job_id: int) -> None:
    run("benchmarks.bodies.started_at", job_id)
