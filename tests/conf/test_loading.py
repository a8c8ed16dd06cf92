"""What a process has loaded is not searched for garbage again."""

import gc

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
