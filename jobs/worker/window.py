"""Although it acknowledges early, a worker holds no message for which it has no free slot.

Celery acknowledges a message when a child takes it, and the broker then sends the next one at once: if all children are
busy it waits in this worker, behind a long job, while another worker is idle. Here the broker may send exactly as many
messages as there are free slots: AMQP's prefetch count is lowered before an acknowledgement and raised when a task
ends. With no free slot the count would be zero, which AMQP takes for no limit, so the consumers are cancelled until a
slot is free. None of this needs an answer from the broker: the methods of a channel are handled in order.

Where the count is not the channel's but each consumer's (RabbitMQ 4, as kombu takes it), and so cannot be changed, new
consumers take the place of the old ones. What the old ones brought counts for them alone: its acknowledgement brings no
other message. And each queue's consumer has the whole count, so several queues may bring more than there are slots.

Most tasks are short, and two things keep a stream of them as cheap as it would be without a window. An acknowledgement
waits a moment for its task to end: if it is sent then, the count need not change. And while tasks take a few
milliseconds each, one message per slot may come before its slot is free. Whatever came without a slot goes back to the
broker if none is free after a moment.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from amqp import spec
from celery import bootsteps
from celery.worker import state

from jobs.worker.request import in_progress

_ACK_SECONDS: Final = 0.1
_AHEAD_SECONDS: Final = 0.03
_QUICK_SECONDS: Final = 0.01  # while tasks take less than this, on a moving average, messages may come early
_AVERAGED: Final = 0.2  # the weight of the last task
# Quorum queues write each new consumer to their log, and an auto-delete queue is deleted with its last one: on those
# queues consumers stay, and acknowledgements come late, so that the consumers' counts are the window. Well below
# RabbitMQ's consumer_timeout of 30 minutes.
_LATE_ACK_SECONDS: Final = 600.0


class WindowStep(bootsteps.StartStopStep):
    """A step of the consumer: starts again with each connection to the broker."""

    label = "Window"
    requires = ("jobs.worker.gate:GateStep",)  # what the gate refuses takes no slot

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self.window: Window | None = None

    def start(self, consumer: Any) -> None:
        transport = consumer.connection.transport.driver_type
        if transport == "redis":
            poll_only_with_a_free_slot(consumer)
        elif transport == "amqp" and consumer.hub is not None:
            self.window = Window(consumer)

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        if self.window is not None:
            hub.on_tick.add(self.window.tick)

    def stop(self, consumer: Any) -> None:
        window, self.window = self.window, None
        if window is not None:
            consumer.hub.on_tick.discard(window.tick)
            window.close(lost=consumer.connection is None)


def free_slots(consumer: Any) -> int:
    held = len(state.reserved_requests) + in_progress.forgotten_by_celery
    return int(max(consumer.pool.num_processes - held, 0))


def poll_only_with_a_free_slot(consumer: Any) -> None:
    """Redis: kombu fetches one message at a time, so asking before each is enough."""
    qos = consumer.task_consumer.channel.qos
    can_consume = qos.can_consume
    qos.can_consume = lambda: free_slots(consumer) > 0 and can_consume()


class Window:
    """The task channel of one AMQP connection. Replaces Celery's ``consumer.qos``."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._tasks = consumer.task_consumer
        self._channel = self._tasks.channel
        self._is_quorum = any(queue.is_quorum for queue in self._tasks.queues)
        self._is_global = bool(consumer.qos_global) and not self._is_quorum
        if consumer.qos_global and not self._is_global:  # Celery took the queues for what they would be declared as
            self._channel.basic_qos(0, 0, True)  # RabbitMQ refuses consumers of a quorum queue while this stands
            consumer.qos_global = False
        self._may_cancel = not any(queue.auto_delete for queue in self._tasks.queues)
        self._is_fixed = not self._is_global and (self._is_quorum or not self._may_cancel)
        self._ack_seconds = _LATE_ACK_SECONDS if self._is_fixed else _ACK_SECONDS
        self._mutex = threading.RLock()  # Celery replaces it, and uses it as a context manager
        # Delivery tags with the tags of their consumers, as the broker will know it once it has read what was sent.
        self._unacknowledged: dict[int, str] = {}
        self._held_back: deque[tuple[float, int]] = deque()  # acknowledgements: when they were asked for, delivery tag
        self._ahead: deque[tuple[float, Any]] = deque()  # messages without a slot: when they came, message
        self._pace = 1.0  # seconds for which a task takes its slot, on a moving average
        self._allowed = int(consumer.initial_prefetch_count)  # how many unacknowledged messages the broker allows
        self._cancelled: list[str] = []  # the latest consumers
        self._timer: Any = None
        self._timer_at = float("inf")
        self._closed = False
        self._send_ack: Callable[[int], Any] = self._channel.basic_ack
        self._send_reject: Callable[..., Any] = self._channel.basic_reject
        self._on_delivery: Callable[[Any], Any] = self._tasks._receive_callback
        self._channel.basic_ack = self._acknowledge
        self._channel.basic_reject = self._reject
        self._tasks._receive_callback = self._delivered
        self._tasks.consume = self._begin
        consumer.qos = self

    # --- what Celery calls --------------------------------------------------------------------------------------------

    def _begin(self, no_ack: bool | None = None) -> None:
        """The event loop is about to start, or a queue was added."""
        limit = self._limit()
        if limit > 0 or not self._may_cancel:
            self._allow(max(limit, 1))
        else:
            self._allowed = 0

    def _delivered(self, raw: Any) -> None:
        self._unacknowledged[raw.delivery_tag] = raw.delivery_info["consumer_tag"]
        if (not self._ahead and free_slots(self._consumer)) or not (self._is_global or self._may_cancel):
            self._on_delivery(raw)
        else:
            self._ahead.append((time.monotonic(), raw))
            self._set_timer(_AHEAD_SECONDS)

    def _acknowledge(self, delivery_tag: int, multiple: bool = False) -> None:
        if self._closed:
            self._send_ack(delivery_tag)
        else:
            self._held_back.append((time.monotonic(), delivery_tag))
            self._set_timer(self._ack_seconds)

    def _reject(self, delivery_tag: int, requeue: bool) -> Any:
        self._unacknowledged.pop(delivery_tag, None)
        return self._send_reject(delivery_tag, requeue)

    @property
    def value(self) -> int:
        return self._allowed

    prev = value  # always equal: Celery's loop never asks for an update

    def increment_eventually(self, n: int = 1) -> int:
        return self._allowed  # a task with an eta is unacknowledged and takes no slot: the limit counts it already

    decrement_eventually = increment_eventually

    def set(self, count: int) -> int:
        return count

    def update(self) -> int:
        return self._allowed

    # --- the window ---------------------------------------------------------------------------------------------------

    def _limit(self) -> int:
        """How many messages may be unacknowledged: those with a slot, one for each free slot, and early ones."""
        with_slot = len(self._unacknowledged) - len(self._ahead)
        ahead = int(self._consumer.pool.num_processes) if self._pace < _QUICK_SECONDS and not self._is_fixed else 0
        return with_slot + free_slots(self._consumer) + ahead

    def tick(self) -> None:
        """Called once in each round of the event loop, after its acknowledgements, before it waits."""
        if self._closed:
            return
        if self._ahead:
            self._take_ahead()
        limit = self._limit()
        if limit == self._allowed:
            return
        while self._held_back and limit > self._allowed and self._tasks._active_tags:
            # A slot came free: an acknowledgement brings the next message, or lowers what is allowed.
            took = time.monotonic() - self._release_ack()
            self._pace += (took - self._pace) * _AVERAGED
            limit -= 1
        if limit != self._allowed or not self._tasks._active_tags:
            self._allow(limit)

    def _take_ahead(self) -> None:
        """A slot came free, and the message for it is already here."""
        taken = False
        while self._ahead and free_slots(self._consumer):
            taken = True
            self._on_delivery(self._ahead.popleft()[1])
        pool = self._consumer.pool._pool
        if taken and hasattr(pool, "on_poll_start"):
            pool.on_poll_start()  # its turn in this round may be over

    def _timer_rang(self) -> None:
        """A slot is taken for longer: acknowledge its message, and send back what came early."""
        self._timer, self._timer_at = None, float("inf")
        if self._closed:
            return
        self.tick()
        now = time.monotonic()
        overdue = sum(1 for asked_at, _ in self._held_back if now - asked_at >= self._ack_seconds)
        too_far_ahead = bool(self._ahead) and now - self._ahead[0][0] >= _AHEAD_SECONDS
        if overdue or too_far_ahead:
            self._pace = 1.0
            limit = self._limit() - overdue
            if limit <= 0 and not self._may_cancel:
                overdue, limit = max(overdue - 1, 0), 1
            self._allow(limit, acknowledging=overdue)
        for _ in range(overdue):
            self._release_ack()
        while too_far_ahead and self._ahead:
            self._send_back()
        if self._held_back:
            self._set_timer(self._held_back[0][0] + self._ack_seconds - now)
        if self._ahead:
            self._set_timer(self._ahead[0][0] + _AHEAD_SECONDS - now)

    def _allow(self, count: int, *, acknowledging: int = 0) -> None:
        """Allow ``count`` unacknowledged messages, beside the ``acknowledging`` that follow this call as acks."""
        if self._is_global:
            if count <= 0:
                self._cancel(self._begun())
            else:
                if count != self._allowed:
                    self._send_count(count)
                self._consume()
        else:
            count += acknowledging
            self._begin_anew(count - len(self._unacknowledged))
        self._allowed = max(count, 0)

    def _begin_anew(self, count: int) -> None:
        """Replace the consumers by new ones, which may bring this many messages more."""
        if self._may_cancel:
            self._cancel(self._begun())
            self._send_consumers(count)
        elif count > 0:  # a queue that is deleted with its last consumer must keep one
            before = self._begun()
            self._send_consumers(count)
            self._cancel(before)

    def _send_consumers(self, count: int) -> None:
        if count > 0:
            self._send_count(count)
            self._consume()

    def _send_count(self, count: int) -> None:
        self._channel.send_method(spec.Basic.Qos, "lBb", (0, count, self._is_global))

    def _consume(self) -> None:
        for queue in list(self._tasks._queues.values()):
            self._tasks._basic_consume(queue, no_ack=self._tasks.no_ack, nowait=True)

    def _begun(self) -> list[str]:
        """The current consumers, which Celery's bookkeeping then forgets."""
        tags = list(self._tasks._active_tags.values())
        self._tasks._active_tags.clear()
        self._tasks._active_queue_no_ack.clear()
        return tags

    def _cancel(self, tags: list[str]) -> None:
        for tag in self._cancelled:  # nothing more is on its way to them
            self._channel._remove_tag(tag)
        self._cancelled = tags
        for tag in tags:
            self._channel.basic_cancel(tag, nowait=True)

    def _release_ack(self) -> float:
        """Send the oldest acknowledgement. Returns when it was asked for."""
        asked_at, tag = self._held_back.popleft()
        consumer = self._unacknowledged.pop(tag, None)
        if not self._is_global and consumer not in self._tasks._active_tags.values():
            self._allowed -= 1
        self._send_ack(tag)
        return asked_at

    def _send_back(self) -> None:
        self._reject(self._ahead.popleft()[1].delivery_tag, requeue=True)

    def _set_timer(self, seconds: float) -> None:
        at = time.monotonic() + seconds
        if at >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._consumer.hub.call_later(max(seconds, 0.001), self._timer_rang)

    def close(self, *, lost: bool) -> None:
        """No more messages; from here on every acknowledgement is sent at once."""
        self._closed = True
        if lost:
            return
        while self._held_back:
            self._release_ack()
        while self._ahead:
            self._send_back()
