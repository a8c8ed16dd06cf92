"""The Celery application: brokers, workers and Beat start from here (``celery -A cnaasjobs worker``)."""

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from celery import Celery, signals
from celery.loaders.app import AppLoader
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from cnaasjobs.conf import WrongSettings
from jobs import worker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")


class _OfDjango(Mapping[str, Any]):
    """Those of Django's settings that are Celery's. Django is not asked for other names, which takes long.

    Celery looks up dozens of settings for each task, each under several names.
    """

    def __init__(self) -> None:
        self._names = frozenset(name for name in dir(settings) if name.startswith("CELERY_"))

    def __getitem__(self, name: str) -> Any:
        if name in self._names:
            return getattr(settings, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Loader(AppLoader):  # type: ignore[misc, unused-ignore]
    _has_loaded = False

    def config_from_object(self, obj: Any, silent: bool = False) -> Any:
        """Wrong settings end the program with a message that says what is wrong, not with a traceback."""
        try:
            return super().config_from_object(_OfDjango(), silent)
        except WrongSettings as exc:
            sys.exit(str(exc))

    def init_worker(self) -> None:
        """For a worker and a Beat. A job that can't be imported ends them with a line, not with a traceback."""
        try:
            super().init_worker()
        except Exception:  # a job's module may raise anything; other errors are raised again
            from cnaasjobs.checks import unimportable_jobs

            if not apps.ready or not (found := [*unimportable_jobs()]):
                raise
            sys.exit("\n".join(found))

    def import_default_modules(self) -> Any:
        """What the first call loads stays for good, so the garbage collector never has to look at it."""
        # Otherwise each worker and each Beat would load all URLs and pages, for checks whose results Celery drops.
        os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
        if self._has_loaded:
            return super().import_default_modules()
        gc.disable()
        try:
            _require_importable()
            return super().import_default_modules()
        finally:
            self._has_loaded = True
            gc.enable()
            gc.freeze()


def _require_importable() -> None:
    """Before Celery imports the modules of the jobs: it would log a traceback, and raise whatever their code raises.

    Raises:
        ImproperlyConfigured: names each module that can't be imported, and where it fails.
    """
    from cnaasjobs.checks import unimportable_jobs

    if apps.ready and (found := [*unimportable_jobs()]):
        raise ImproperlyConfigured("\n".join(found))


def _look(**_: Any) -> None:
    from cnaasjobs.startup import problems  # Django is set up by now

    if found := problems():
        sys.exit("\n".join(found))


app = Celery(
    "cnaasjobs",
    loader="cnaasjobs.celery:Loader",
    amqp="jobs.broker.queues:AMQP",
    task_cls="jobs.broker.plain_task:PlainTask",
)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
worker.install(app)
signals.celeryd_init.connect(_look, dispatch_uid="cnaasjobs.look")
signals.beat_init.connect(_look, dispatch_uid="cnaasjobs.look")
