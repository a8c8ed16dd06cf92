"""The one thread that asks the database: however many readers there are, the process has one connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import Error, connection

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises what the query raises: django.db.Error while the database is away."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: _asked(question, *args, **kwargs))

    def close(self) -> None:
        self._thread.submit(lambda: connection.close())  # a thread-local name: here it is that thread's connection
        self._thread.shutdown(wait=False)


def _asked(question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Queries change nothing, so one that finds its connection lost is repeated on a new one."""
    was_open = connection.connection is not None
    try:
        return question(*args, **kwargs)
    except Error:
        connection.close()
        if not was_open:
            raise
    try:
        return question(*args, **kwargs)
    except Error:
        connection.close()
        raise
