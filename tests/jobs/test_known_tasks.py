"""Which tasks a process knows: pages ask for them often, and Celery runs Django's checks when it imports modules."""

from celery.signals import import_modules

from jobs.task import known_tasks
from tests import fake_jobs


def test_their_modules_are_imported_once() -> None:
    imported = []

    def hear(**_: object) -> None:
        imported.append(True)

    import_modules.connect(hear)
    try:
        for _ in range(2):
            assert fake_jobs.nothing.name in known_tasks()
    finally:
        import_modules.disconnect(hear)
    assert len(imported) <= 1
