"""Messages whose AMQP envelope cannot be read: text that is not UTF-8, times and tables out of bounds.

The broker passes on whatever a publisher wrote into an envelope. py-amqp would raise in the worker's event loop, which
would end, and the broker would deliver the message to the next worker. So an unreadable envelope is replaced by a mark,
which the gate refuses.
"""

from collections.abc import Callable
from struct import unpack_from
from typing import Any, Final

from amqp import serialization, spec

MARK: Final = "cnaasjobs.unreadable"  # no property of AMQP has such a name
_HEAD: Final = 4  # bytes: which method it is
_PLACE: Final = "sLbss"  # the consumer, the delivery tag, whether it is repeated, the exchange, the routing key


def install() -> None:
    """Before the worker connects."""
    serialization.PROPERTY_CLASSES[spec.Basic.CLASS_ID] = _properties


def _properties(buffer: Any, offset: int) -> tuple[dict[str, Any], int]:
    try:
        found: tuple[dict[str, Any], int] = serialization.decode_properties_basic(buffer, offset)
    except Exception:  # noqa: BLE001  (of any type: it is a stranger who decides which)
        return {MARK: True}, len(buffer)
    return found


def guard_deliveries(channel: Any, refuse: Callable[[int], None]) -> None:
    """Refuse what is delivered on this channel with an unreadable exchange or routing key, by its delivery tag."""
    dispatch = channel.dispatch_method

    def guarded(method: tuple[int, int], payload: Any, content: Any) -> None:
        if method == spec.Basic.Deliver and not _is_place(payload):
            refuse(unpack_from(">Q", payload, _HEAD + 1 + payload[_HEAD])[0])
        else:
            dispatch(method, payload, content)

    channel.dispatch_method = guarded


def _is_place(payload: Any) -> bool:
    try:
        serialization.loads(_PLACE, payload, _HEAD)
    except UnicodeDecodeError:
        return False
    return True
