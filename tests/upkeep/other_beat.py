"""Another Beat, in the middle of one of upkeep's rounds."""

import contextlib
import threading
from collections.abc import Iterator

from django.db import connection

from cnaasjobs.db.exclusive import exclusively


@contextlib.contextmanager
def other_beat_in(name: str) -> Iterator[None]:
    """Inside, it alone may do the round of this name. Needs PostgreSQL."""
    inside, leave = threading.Event(), threading.Event()

    def other_beat() -> None:
        with exclusively(name) as mine:
            assert mine
            inside.set()
            leave.wait(30)
        connection.close()

    thread = threading.Thread(target=other_beat)
    thread.start()
    try:
        assert inside.wait(30)
        yield
    finally:
        leave.set()
        thread.join()
