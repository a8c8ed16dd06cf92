"""The base of Celery tasks that are not jobs: one that leaves a transaction open fails, as a job does."""

from typing import Any

from celery.contrib.django.task import DjangoTask

from cnaasjobs.db.left_open import none_left_open


class PlainTask(DjangoTask):  # type: ignore[misc, unused-ignore]
    """Otherwise its result would be part of that transaction, and lost with it."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly or self.request.is_eager:
            return super().__call__(*args, **kwargs)
        with none_left_open(by="the task"):
            return super().__call__(*args, **kwargs)
