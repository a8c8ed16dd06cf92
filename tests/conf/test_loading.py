"""What a worker or Beat loads when it starts, and that the garbage collector does not search it again."""

import gc

import pytest
from celery import signals
from django.core import checks

from cnaasjobs.celery import Loader, app


def _is_searched(thing: object) -> bool:
    return any(each is thing for each in gc.get_objects())


def test_what_is_loaded_is_set_aside_once() -> None:
    loader = Loader(app)
    loaded: list[object] = []
    assert _is_searched(loaded)
    loader.import_default_modules()
    assert not _is_searched(loaded)
    later: list[object] = []
    loader.import_default_modules()  # a request asks for it too: what that holds must not stay for ever
    assert _is_searched(later)


def test_nothing_is_loaded_for_checks_whose_results_nobody_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    monkeypatch.setattr(checks, "run_checks", lambda: checked.append("all"))
    Loader(app).import_default_modules()
    assert checked == []
    monkeypatch.delenv("CELERY_SKIP_CHECKS")
    signals.import_modules.send(sender=app)
    assert checked != []  # so it would have been seen
