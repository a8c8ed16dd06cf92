"""The suite's settings with a quorum queue as the default queue."""

from tests.settings import *  # noqa: F403

CELERY_TASK_DEFAULT_QUEUE_TYPE = "quorum"
