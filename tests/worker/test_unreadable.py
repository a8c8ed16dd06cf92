"""An envelope that py-amqp cannot read is replaced by a mark, which the gate refuses, whatever exception it raises."""

from struct import pack
from typing import Any

import amqp
import pytest
from amqp import serialization, spec

from jobs.worker import unreadable
from tests.worker.hostile import RawMessage, tables, well_formed

BASIC = spec.Basic.CLASS_ID


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(serialization.PROPERTY_CLASSES, BASIC, serialization.decode_properties_basic)
    unreadable.install()


def received(**properties: Any) -> amqp.Message:
    """As it comes from the broker."""
    written = RawMessage("", **properties)._serialize_properties()
    message = amqp.Message()
    message.inbound_header(pack(">HxxQ", BASIC, 0) + written)
    return message


@pytest.mark.parametrize(
    "envelope",
    [
        {"content_type": b"\xff\xfe"},
        {"correlation_id": b"\xff"},
        {"application_headers": b"\x01tT" + b"\xff" * 8},  # a time after all times
        {"application_headers": b"\x01q?"},  # of no type
        {"application_headers": b"\x01i"},
        {"application_headers": tables(5000)},
    ],
)
def test_what_cannot_be_read_is_marked(envelope: dict[str, bytes]) -> None:
    assert received(**envelope).properties.get(unreadable.MARK)


def test_what_can_be_read_is_as_it_was() -> None:
    headers = well_formed().headers
    found = received(application_headers=headers, content_type="application/json", priority=3).properties
    assert found == {"application_headers": headers, "content_type": "application/json", "priority": 3}


class Channel:
    """What is dispatched on it."""

    def __init__(self) -> None:
        self.dispatched: list[Any] = []

    def dispatch_method(self, method: Any, payload: Any, content: Any) -> None:
        self.dispatched.append(method)


def delivery(*, tag: int, routing_key: bytes) -> bytes:
    consumer = b"one"
    place = pack("B", len(consumer)) + consumer + pack(">QB", tag, 0) + b"\x00" + pack("B", len(routing_key))
    return pack(">HH", *spec.Basic.Deliver) + place + routing_key


def test_a_place_that_cannot_be_read_is_refused_by_its_tag() -> None:
    channel, refused = Channel(), list[int]()
    unreadable.guard_deliveries(channel, refused.append)
    dispatch: Any = channel.dispatch_method
    dispatch(spec.Basic.Deliver, delivery(tag=7, routing_key=b"\xff"), None)
    assert (refused, channel.dispatched) == ([7], [])
    dispatch(spec.Basic.Deliver, delivery(tag=8, routing_key=b"default"), None)
    dispatch(spec.Basic.CancelOk, b"", None)
    assert (refused, channel.dispatched) == ([7], [spec.Basic.Deliver, spec.Basic.CancelOk])
