"""A worker holds no message that it has no free slot for, although it acknowledges early.

Celery acknowledges a message when a child takes it, and the broker then sends the next one at once: with all children
busy it waits in this worker, behind a long job, while another worker is idle. Here the broker may send as many messages
as there are free slots, exactly: AMQP's prefetch count is lowered before an acknowledgement and raised when a task
ends; with no free slot, and so a count of zero (which AMQP takes for no limit), the consumers are cancelled until one
is. All of this needs no answer from the broker: a channel's methods are handled in their order.

Most tasks are short. An acknowledgement therefore waits a moment for its task to end; sent then, it takes no change of
the count, and a stream of short tasks costs what it costs without all this.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from amqp import spec
from celery import bootsteps
from celery.worker import state

from jobs.worker import in_progress

_ACK_SECONDS: Final = 0.1
# Where the count cannot be changed for a consumer that is there (quorum queues), acknowledgements come late: the
# consumers' fixed counts are then the window. Well below RabbitMQ's consumer_timeout of 30 minutes.
_LATE_ACK_SECONDS: Final = 600.0


class WindowStep(bootsteps.StartStopStep):
    """Of the consumer: starts again with each connection to the broker."""

    label = "Window"
    requires = ("celery.worker.consumer.tasks:Tasks",)

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
    """Redis: kombu fetches one message at a time, so the question before each is enough."""
    qos = consumer.task_consumer.channel.qos
    can_consume = qos.can_consume
    qos.can_consume = lambda: free_slots(consumer) > 0 and can_consume()


class Window:
    """The task channel of one AMQP connection. Stands in for Celery's ``consumer.qos``, which it makes needless."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._tasks = consumer.task_consumer
        self._channel = self._tasks.channel
        self._is_global = bool(consumer.qos_global)
        self._may_cancel = not any(queue.auto_delete for queue in self._tasks.queues)
        self._mutex = threading.RLock()  # Celery replaces it, and enters it
        self._unacknowledged: set[int] = set()  # as the broker will see it once it has read what was sent
        self._held_back: deque[tuple[float, int]] = deque()  # acknowledgements: when to send, delivery tag
        self._allowed = int(consumer.initial_prefetch_count)  # how many the broker lets be unacknowledged
        self._timer_is_set = False
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

    def _delivered(self, raw: Any) -> Any:
        self._unacknowledged.add(raw.delivery_tag)
        return self._on_delivery(raw)

    def _acknowledge(self, delivery_tag: int, multiple: bool = False) -> None:
        if self._closed:
            self._send_ack(delivery_tag)
            return
        seconds = _ACK_SECONDS if self._is_global else _LATE_ACK_SECONDS
        self._held_back.append((time.monotonic() + seconds, delivery_tag))
        if not self._timer_is_set:
            self._set_timer(seconds)

    def _reject(self, delivery_tag: int, requeue: bool) -> Any:
        self._unacknowledged.discard(delivery_tag)
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
        """How many messages may be unacknowledged: those that are, and one for each free slot."""
        return len(self._unacknowledged) + free_slots(self._consumer)

    def tick(self) -> None:
        """Once in each round of the event loop, after the acknowledgements of this round, before it waits."""
        limit = self._limit()
        if limit == self._allowed or self._closed:
            return
        while self._held_back and limit > self._allowed and self._tasks._active_tags:
            self._release_ack()  # a slot came free: an acknowledgement brings the next message
            limit -= 1
        if limit != self._allowed or not self._tasks._active_tags:
            self._allow(limit)

    def _timer_rang(self) -> None:
        """Acknowledge what has waited long enough for its task to end: a slot is taken for longer."""
        self._timer_is_set = False
        if self._closed:
            return
        self.tick()
        now = time.monotonic()
        overdue = sum(1 for due, _ in self._held_back if due <= now)
        limit = self._limit() - overdue
        if limit <= 0 and not self._may_cancel:
            overdue, limit = max(overdue - 1, 0), 1
        if overdue:
            self._allow(limit)
        for _ in range(overdue):
            self._release_ack()
        if self._held_back:
            self._set_timer(max(self._held_back[0][0] - now, 0.001))

    def _allow(self, count: int) -> None:
        """Let the broker send until this many are unacknowledged."""
        if self._is_global:
            if count <= 0:
                self._cancel()
            else:
                if count != self._allowed:
                    self._send_count(count)
                self._consume()
        else:  # a new consumer's count starts from none
            self._cancel()
            if free := free_slots(self._consumer):
                self._send_count(free)
                self._consume()
        self._allowed = max(count, 0)

    def _send_count(self, count: int) -> None:
        self._channel.send_method(spec.Basic.Qos, "lBb", (0, count, self._is_global))

    def _consume(self) -> None:
        for queue in list(self._tasks._queues.values()):
            self._tasks._basic_consume(queue, no_ack=self._tasks.no_ack, nowait=True)

    def _cancel(self) -> None:
        for tag in list(self._tasks._active_tags.values()):
            self._channel.basic_cancel(tag, nowait=True)
            if self._is_global:  # else a message may be on its way
                self._channel._remove_tag(tag)
        self._tasks._active_tags.clear()
        self._tasks._active_queue_no_ack.clear()

    def _release_ack(self) -> None:
        _, tag = self._held_back.popleft()
        self._unacknowledged.discard(tag)
        self._send_ack(tag)

    def _set_timer(self, seconds: float) -> None:
        self._timer_is_set = True
        self._consumer.hub.call_later(seconds, self._timer_rang)

    def close(self, *, lost: bool) -> None:
        """No more messages; what is acknowledged from here on is acknowledged at once."""
        self._closed = True
        while self._held_back and not lost:
            self._release_ack()
