"""The queues as all our processes declare them: RabbitMQ serves only those by priority that were declared for it.

The properties of an existing queue cannot be changed. One that was declared with others is used as it is, and logged
once with the way to replace it. Redis needs no declaration: kombu keeps one list per priority.
"""

from copy import copy
from typing import Any, Final

from amqp import Channel
from amqp.exceptions import PreconditionFailed
from celery import current_app
from celery.app import amqp
from kombu import entity

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.schedulable import HIGHEST_PRIORITY

_KombuQueue: Any = entity.Queue  # half of it is typed
_QUORUM: Final = {"x-queue-type": "quorum"}
_IMPOSSIBLE: Final = "invalid arg"  # in RabbitMQ's words: no queue of its type can have priorities, before 4.3
_named: set[str] = set()  # queues that exist with other properties, already logged


class Queue(_KombuQueue):
    """A queue that exists with other properties is used as it is: that is not an error."""

    max_priority: int | None
    _is_found_quorum = False  # it was declared as a classic queue, and exists as a quorum queue

    @property
    def is_quorum(self) -> bool:
        """Whether it is a quorum queue: as it was found when it was declared; before that, as it would be declared."""
        return self._is_found_quorum or bool(_QUORUM.items() <= (self.queue_arguments or {}).items())

    def queue_declare(self, nowait: bool = False, passive: bool = False, channel: Any = None) -> Any:
        channel = channel or self.channel
        if passive or not isinstance(channel, Channel):
            return super().queue_declare(nowait=nowait, passive=passive, channel=channel)
        spare = channel.connection.channel()  # a refusal closes the channel, with all its settings
        self._is_found_quorum = False
        try:
            return super().queue_declare(channel=spare)
        except PreconditionFailed as exc:
            declared = self._declared_otherwise(spare, exc)
            self._is_found_quorum = not self.is_quorum and self._would_be(spare, _QUORUM)  # its consumers must know
            return declared
        finally:
            spare.close()

    def _declared_otherwise(self, channel: Any, refusal: PreconditionFailed) -> Any:
        if _IMPOSSIBLE in refusal.reply_text:
            plain = copy(self)
            plain.max_priority = None
            try:
                return super(Queue, plain).queue_declare(channel=channel)
            except PreconditionFailed as exc:
                refusal = exc
        declared = super().queue_declare(passive=True, channel=channel)
        if self.name not in _named:
            _named.add(self.name)
            record(JobAction.QUEUE_AS_IT_IS, queue=self.name, refusal=refusal.reply_text)
        return declared

    def _would_be(self, channel: Any, arguments: dict[str, str]) -> bool:
        """Whether the queue, which exists, has these arguments."""
        try:
            channel.queue_declare(self.name, durable=self.durable, auto_delete=self.auto_delete, arguments=arguments)
        except PreconditionFailed:
            return False
        return True


class Queues(amqp.Queues):  # type: ignore[misc, unused-ignore]
    def _add(self, queue: Any) -> Any:
        """Every queue is made here: Celery's default, those of ``-Q``, and those that a message names first."""
        ours = Queue(**queue.as_dict())
        ours.max_priority = HIGHEST_PRIORITY
        return super()._add(ours)


class AMQP(amqp.AMQP):  # type: ignore[misc, unused-ignore]
    """Celery's, with our queues."""

    queues_cls = Queues


def serves_by_priority(name: str) -> bool:
    """Whether messages of a higher priority always go first; quorum queues before RabbitMQ 4.3 do so mostly, or not."""
    return not current_app.amqp.queues[name].is_quorum


def for_broker(priority: int, *, redis: bool) -> int:
    """Redis serves the lowest number first, AMQP the highest."""
    return HIGHEST_PRIORITY - priority if redis else priority
