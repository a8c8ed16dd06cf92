"""Messages that somebody else puts into the queue: copies, late ones, forged ones."""

from collections.abc import Iterable
from typing import Any

from celery import Celery
from kombu.entity import Queue

_AS_IT_IS = Queue("default", no_declare=True)  # type: ignore[no-untyped-call]

Message = tuple[str, tuple[Any, ...]]  # a task's name, and its arguments


class Messages:
    def __init__(self, broker_url: str) -> None:
        self._celery = Celery(broker=broker_url, set_as_current=False)

    def send(self, messages: Iterable[Message]) -> None:
        with self._celery.connection_for_write() as connection, connection.Producer() as producer:
            for task, args in messages:
                self._celery.send_task(task, args=args, queue=_AS_IT_IS, producer=producer, ignore_result=True)
