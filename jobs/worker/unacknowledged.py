"""Checks the messages that Redis keeps because they were fetched and not acknowledged.

After an hour kombu puts such a message back into its queue. It looks for them when the worker connects, before it reads
any queue. Whoever can write to the broker can write there too, and what kombu cannot read would end this worker, and
every one started after it. What has the form of a message passes the gate when it is fetched again.
"""

import json
from collections.abc import Mapping
from typing import Any

from kombu.transport import redis as theirs

from jobs.worker.gate import RefusalLog

_refusals = RefusalLog()
_QoS: Any = theirs.QoS  # without types


class CheckedQoS(_QoS):
    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        with self.channel.conn_or_acquire(client) as connection:
            kept = connection.hget(self.unacked_key, tag)
        if kept is None or _is_message(kept):
            super().restore_by_tag(tag, client, leftmost)
        else:
            _refusals.add("it was not acknowledged, and is not a message")
            self._remove_from_indices(tag).execute()


def _is_message(kept: bytes | str) -> bool:
    try:
        message, exchange, routing_key = json.loads(kept)
        parts = (message["headers"], message["properties"], message["properties"]["delivery_info"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return False
    return isinstance(exchange, str) and isinstance(routing_key, str) and all(isinstance(p, Mapping) for p in parts)


def install() -> None:
    theirs.Channel.QoS = CheckedQoS
