"""Where Celery keeps the results of tasks that are not jobs: in django-celery-results' table, without secrets."""

from typing import Any

from django_celery_results.backends.database import DatabaseBackend

from cnaasjobs.secrecy import mask, mask_all, storable


class MaskedResults(DatabaseBackend):
    """What a task returned or raised, its arguments and its traceback. Asking for a result returns what is kept."""

    def encode_content(self, data: Any) -> Any:
        return super().encode_content(mask_all(data))

    def _store_result(
        self, task_id: str, result: Any, status: str, traceback: Any = None, request: Any = None, using: Any = None
    ) -> Any:
        masked = None if traceback is None else storable(mask(str(traceback)))
        return super()._store_result(task_id, result, status, masked, request, using)
