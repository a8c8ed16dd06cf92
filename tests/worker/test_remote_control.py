"""Celery's remote control is off, and where a setting turns it on its answers hold no credentials."""

from typing import Any

import pytest
from celery import current_app
from celery.worker.control import Panel

from jobs.worker import remote_control
from tests.fake_jobs import nothing
from tests.services import RabbitMQ
from tests.services.processes import Platform
from tests.switching import on_broker
from tests.worker.conftest import StartWorker, wait_for_status

pytestmark = pytest.mark.needs("rabbitmq")

CANARY = "canary-4711"
# Of Celery's commands those that answer with what they know and change nothing.
ASKING = sorted(name for name, meta in Panel.meta.items() if meta.type == "inspect" and name != "objgraph")


def test_no_worker_answers_a_ping(rabbitmq: RabbitMQ, start_worker: StartWorker) -> None:
    start_worker()
    wait_for_status(nothing.schedule(), "FINISHED")
    assert current_app.control.ping(timeout=2) == []
    assert not [queue for queue in rabbitmq.queues() if queue.endswith("celery.pidbox") and ".reply." not in queue]


def test_no_answer_holds_credentials(rabbitmq: RabbitMQ, platform: Platform, start_worker: StartWorker) -> None:
    rabbitmq.add_user("operator", CANARY)
    try:
        url = rabbitmq.url.replace("guest:guest", f"operator:{CANARY}")
        env = {"CNAASJOBS_REMOTE_CONTROL": "1", "CELERY_BROKER_URL": f"{url};{url}", "SECRET_KEY": f"key-of-{CANARY}"}
        start_worker(env=env)
        answers: dict[str, Any] = {}
        with on_broker(url):
            for command in ASKING:
                answers[command] = current_app.control.broadcast(command, reply=True, timeout=20, limit=1)
        queues = rabbitmq.ctl("list_queues", "name", "durable", "--vhost", rabbitmq.vhost)
        boxes = {line.split()[1] for line in queues.splitlines() if "celery.pidbox" in line}
        assert boxes == {"true"}  # the worker's and those of the answers: RabbitMQ is giving up others
    finally:
        rabbitmq.delete_user("operator")
    assert answers["ping"] != []
    assert answers["stats"] != []
    for command in set(ASKING) & set(remote_control.SETTINGS):
        assert [*answers[command][0].values()] == [remote_control.REFUSAL]
    assert CANARY not in repr(answers)
