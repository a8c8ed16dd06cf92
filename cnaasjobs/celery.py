"""The Celery application: brokers, workers and Beat start from here (``celery -A cnaasjobs worker``)."""

import os
import sys
from typing import Any

from celery import Celery, signals
from celery.loaders.app import AppLoader

from cnaasjobs.conf import WrongSettings
from jobs import worker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")


class Loader(AppLoader):  # type: ignore[misc, unused-ignore]
    """If ``celery`` is the first to read the settings, it exits with what is wrong with them, without a traceback."""

    def config_from_object(self, obj: Any, silent: bool = False) -> Any:
        try:
            return super().config_from_object(obj, silent)
        except WrongSettings as exc:
            sys.exit(str(exc))


def _look(**_: Any) -> None:
    from cnaasjobs.startup import problems  # Django is set up by now

    if found := problems():
        sys.exit("\n".join(found))


app = Celery("cnaasjobs", loader="cnaasjobs.celery:Loader", amqp="jobs.broker.queues:AMQP")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
worker.install(app)
signals.celeryd_init.connect(_look, dispatch_uid="cnaasjobs.look")
signals.beat_init.connect(_look, dispatch_uid="cnaasjobs.look")
