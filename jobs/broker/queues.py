"""The queues as every process of ours declares them: RabbitMQ serves by priority only those that were declared so.

What a queue is cannot be changed once it exists. One that exists otherwise is used as it is, and is named once with the
way to move. Redis has no such thing to declare: kombu keeps one list for each priority.
"""

from copy import copy
from typing import Any, Final

from amqp import Channel
from amqp.exceptions import NotFound, PreconditionFailed
from celery import current_app
from celery.app import amqp
from kombu import entity

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.schedulable import HIGHEST_PRIORITY

_KombuQueue: Any = entity.Queue  # half of it is typed
_QUORUM: Final = {"x-queue-type": "quorum"}
_named: set[str] = set()  # queues that exist otherwise, and were said to


class Queue(_KombuQueue):
    """One that exists with other properties is no error."""

    max_priority: int | None

    def queue_declare(self, nowait: bool = False, passive: bool = False, channel: Any = None) -> Any:
        channel = channel or self.channel
        if passive or not isinstance(channel, Channel):
            return super().queue_declare(nowait=nowait, passive=passive, channel=channel)
        spare = channel.connection.channel()  # a refusal ends the channel, with what was agreed on it
        try:
            return super().queue_declare(channel=spare)
        except PreconditionFailed as exc:
            return self._as_it_is(spare, exc)
        finally:
            spare.close()

    def _as_it_is(self, channel: Any, refusal: PreconditionFailed) -> Any:
        try:
            declared = super().queue_declare(passive=True, channel=channel)
        except NotFound:  # such a queue cannot be: the virtual host's default type is one without priorities
            plain = copy(self)
            plain.max_priority = None
            return super(Queue, plain).queue_declare(channel=channel)
        if self.name not in _named:
            _named.add(self.name)
            record(JobAction.QUEUE_AS_IT_IS, queue=self.name, refusal=refusal.reply_text)
        if not is_quorum(self) and self._would_be(channel, _QUORUM):
            self.queue_arguments, self.max_priority = {**_QUORUM}, None  # who consumes from it must know
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
        """Each queue comes through here: Celery's default, those of ``-Q``, those that a message names first."""
        ours = Queue(**queue.as_dict())
        ours.max_priority = None if is_quorum(ours) else HIGHEST_PRIORITY
        return super()._add(ours)


class AMQP(amqp.AMQP):  # type: ignore[misc, unused-ignore]
    """Celery's, with our queues."""

    queues_cls = Queues


def serves_by_priority(name: str) -> bool:
    """Whether what waits there with a higher priority always goes first; from RabbitMQ 4 quorum queues mostly do so."""
    return not is_quorum(current_app.amqp.queues[name])


def for_broker(priority: int, *, redis: bool) -> int:
    """Redis serves the lowest number first, AMQP the highest."""
    return HIGHEST_PRIORITY - priority if redis else priority


def is_quorum(queue: Any) -> bool:
    """As far as is known before it was declared; afterwards the one that was declared knows."""
    return _QUORUM.items() <= (queue.queue_arguments or {}).items()
