"""The Celery application: brokers, workers and Beat start from here (``celery -A cnaasjobs worker``)."""

import gc
import os
import sys
from typing import Any

from celery import Celery, signals
from celery.loaders.app import AppLoader

from cnaasjobs.conf import WrongSettings
from jobs import worker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")


class Loader(AppLoader):  # type: ignore[misc, unused-ignore]
    _has_loaded = False

    def config_from_object(self, obj: Any, silent: bool = False) -> Any:
        """Wrong settings end the program with a message that says what is wrong, not with a traceback."""
        try:
            return super().config_from_object(obj, silent)
        except WrongSettings as exc:
            sys.exit(str(exc))

    def import_default_modules(self) -> Any:
        """What the first call loads stays for good: the garbage collector looks at none of it, meanwhile and later."""
        # Else each worker and each Beat loads all URLs and pages, for checks whose results Celery drops.
        os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
        if self._has_loaded:
            return super().import_default_modules()
        gc.disable()
        try:
            return super().import_default_modules()
        finally:
            self._has_loaded = True
            gc.enable()
            gc.freeze()


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
