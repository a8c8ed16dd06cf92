"""The results of tasks that are not jobs."""

import pytest
from celery import current_app
from celery.app.task import Context
from django_celery_results.models import TaskResult

from jobs.broker.plain_results import MaskedResults


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("each_database")
def test_what_no_database_can_store_costs_no_result() -> None:
    said = "from a device: \x00 \ud800"
    request = Context(id="7", task="plain", args=[said], kwargs={}, hostname="w1")
    backend = MaskedResults(app=current_app)
    backend.store_result("7", ValueError(said), "FAILURE", traceback=f"ValueError: {said}", request=request)
    stored = TaskResult.objects.get(task_id="7")
    assert (stored.status, stored.traceback) == ("FAILURE", "ValueError: from a device: \ufffd \\ud800")
    assert "from a device" in stored.result
