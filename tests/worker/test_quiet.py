"""A worker without problems prints no warning, even as root and into a file."""

import json
import signal

from tests.fake_jobs import nothing
from tests.fake_jobs.lasting import plain_nothing
from tests.worker.conftest import StartWorker, wait_for_status


def test_no_warning_in_normal_operation(start_worker: StartWorker) -> None:
    worker = start_worker(env={"PYTHONWARNINGS": "always::UserWarning"})
    first = nothing.schedule()
    wait_for_status(first, "FINISHED")
    plain_nothing.delay()
    wait_for_status(nothing.schedule(), "FINISHED")
    worker.signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    output = worker.output()
    assert "Warning" not in output
    assert "Traceback" not in output
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert {line["level"] for line in lines} == {"INFO"}
    assert {line["message"] for line in lines if "job_id" in line} >= {
        f"job {first.pk}: claim",
        f"job {first.pk}: finish",
    }
