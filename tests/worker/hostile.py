"""Messages that an outsider puts into a worker's queue: valid ones with one or more parts made invalid."""

# ruff: noqa: E501  tables of values

import base64
import gzip
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import amqp
import redis
from amqp.serialization import dumps

from jobs.states import JOIN

JOB = "tests.fake_jobs.nothing"
ROUTING_KEY = "routing key"
TO_ALL = "strangers"  # an exchange of the stranger's, which takes any routing key
STRANGER = 10**9  # the number of a job that is not there

ODD: list[Any] = [
    None, True, 0, -1, 5, 2**62, 1.5, "", "x", "x" * 300, "\x00", "é" * 10, [], [1], ["a", {"b": []}], {}, {"a": 1}, [[1]], b"\xff".decode("latin1"),
]  # fmt: skip
BOMB = gzip.compress(b" " * 200_000_000, compresslevel=1)
BUILT_IN = [
    "celery.group", "celery.chain", "celery.chord", "celery.chunks", "celery.map", "celery.starmap", "celery.accumulate",
    "celery.chord_unlock", "celery.backend_cleanup", "celery.ping",
]  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """One message, before it is written for a broker."""

    headers: Any
    body: bytes
    content_type: Any = "application/json"
    content_encoding: Any = "utf-8"
    properties: dict[str, Any] = field(default_factory=dict)
    envelope: dict[str, bytes] = field(default_factory=dict)  # of AMQP's properties, these as they are written


def signature(task: str = JOB) -> dict[str, Any]:
    return {
        "task": task, "args": [], "kwargs": {"value": 1}, "options": {"queue": "default"}, "subtask_type": None, "immutable": True,
    }  # fmt: skip


def well_formed(task: Any = JOB, args: Any = None, kwargs: Any = None, embeds: Any = None) -> Hostile:
    """As the platform writes it; but of a job that does not exist."""
    number = str(uuid4())
    nothing = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = [
        [STRANGER] if args is None else args,
        {} if kwargs is None else kwargs,
        nothing if embeds is None else embeds,
    ]
    headers = {
        "lang": "py", "task": task, "id": number, "shadow": None, "eta": None, "expires": None, "group": None, "group_index": None,
        "retries": 0, "timelimit": [None, None], "root_id": number, "parent_id": None, "argsrepr": "(1,)", "kwargsrepr": "{}",
        "origin": "gen1@stranger", "ignore_result": True, "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
    }  # fmt: skip
    return Hostile(headers, json.dumps(body).encode(), properties={"correlation_id": number, "reply_to": ""})


def _odd_header(dice: random.Random) -> Hostile:
    good = well_formed()
    name = dice.choice(
        [*good.headers, "compression", "callbacks", "chain", "x", "periodic_task_name", "utc", "delivery_info"]
    )
    return replace(good, headers={**good.headers, name: dice.choice(ODD)})


def _headers_gone(dice: random.Random) -> Hostile:
    good = well_formed()
    kept = {name: value for name, value in good.headers.items() if dice.random() < 0.6}
    return replace(good, headers=dice.choice([kept, {}]))


def _built_in(dice: random.Random) -> Hostile:
    task = dice.choice(BUILT_IN)
    arguments: list[Any] = dice.choice(
        [
            [signature(), [signature()], "group", []],
            [["g", [[signature(), signature()]], [], None]],
            ["group", signature(), None, 0, [signature()]],
            [signature(), [[1]]],
        ]
    )
    many = {
        "tasks": [signature()],
        "result": ["x", None],
        "group_id": "g",
        "header": [signature()],
        "body": signature(),
    }
    return well_formed(task, arguments, dice.choice([{}, many]))


def _embeds(dice: random.Random) -> Hostile:
    name = dice.choice(["callbacks", "errbacks", "chain", "chord"])
    value = dice.choice([[signature()], signature(), [signature("celery.group")], "x", 1, [[1]]])
    return well_formed(embeds={name: value})


def _arguments(dice: random.Random) -> Hostile:
    args = dice.choice([[], [1, 2], ["1"], [True], [-1], [0], [2**63], [None], [[1]], [{}], [1.0], "1", 5, {"a": 1}])
    return well_formed(args=args, kwargs=dice.choice([{}, {"value": 1}, [], 5]))


def _join(dice: random.Random) -> Hostile:
    """A second process is asked to help with a job: the one other form of a job's message."""
    args: Any = dice.choice(
        [
            [STRANGER, JOIN], [STRANGER, JOIN.upper()], [STRANGER, JOIN, JOIN], [STRANGER, [JOIN]], [JOIN, STRANGER], [STRANGER, True],
            [STRANGER, None], [STRANGER, {}], [STRANGER, JOIN * 500], [[STRANGER, JOIN]], [STRANGER, 0], [-1, JOIN], [str(STRANGER), JOIN], JOIN,
        ]
    )  # fmt: skip
    return well_formed(args=args, kwargs=dice.choice([{}, {}, {JOIN: True}, {"role": JOIN}]))


def _body(dice: random.Random) -> Hostile:
    raw = dice.choice(
        [
            b"", b"5", b"[[1]]", b"null", b"{}", b"[", b"[" * 4000, b"\xff\xfe", b"[[1], {}, {}", b'"x"', b"x" * 5000, dice.randbytes(200),
            json.dumps([[STRANGER], {"x": "y" * 5000}, {}]).encode(),
        ]
    )  # fmt: skip
    return replace(well_formed(), body=raw)


def _packed(dice: random.Random) -> Hostile:
    good = well_formed()
    name = dice.choice(["application/x-gzip", "gzip", "application/x-bz2", "zlib", "x", 5])
    bomb = BOMB if dice.random() < 0.2 else gzip.compress(good.body)
    return replace(good, headers={**good.headers, "compression": name}, body=bomb)


def _kind(dice: random.Random) -> Hostile:
    kinds = ["application/x-python-serialize", "application/x-yaml", "text/plain", "", "x" * 200, "application/data"]
    return replace(
        well_formed(),
        content_type=dice.choice(kinds),
        content_encoding=dice.choice(["utf-8", "binary", "rot13", "x", ""]),
    )


def _kept(dice: random.Random) -> Hostile:
    """A worker is to keep it: for a thousand years, or a moment before."""
    good = well_formed()
    when = dice.choice(["3000-01-01T00:00:00+00:00", "3000-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31"])
    return replace(good, headers={**good.headers, dice.choice(["eta", "eta", "expires"]): when})


def _unreadable(dice: random.Random) -> Hostile:
    """What AMQP carries and its library for Python cannot read. Redis has no such envelope: there it is well-formed."""
    texts = ["content_type", "content_encoding", "correlation_id", "reply_to", "message_id", "app_id", "type"]
    table = dice.choice([b"\x01tT" + b"\xff" * 8, tables(5000)])  # a time after all times; tables in tables
    envelope = dice.choice(
        [{dice.choice(texts): b"\xff\xfe"}, {"application_headers": table}, {ROUTING_KEY: b"\xff\xfe"}]
    )
    return replace(well_formed(), envelope=envelope)


def tables(depth: int) -> bytes:
    """A table in a table in a table …"""
    found = b""
    for _ in range(depth):
        found = b"\x01aF" + len(found).to_bytes(4, "big") + found
    return found


def _first_protocol(dice: random.Random) -> Hostile:
    task = dice.choice([JOB, *BUILT_IN])
    body = {
        "task": task,
        "id": str(uuid4()),
        "args": [signature()],
        "kwargs": {},
        "retries": dice.choice(ODD),
        "eta": dice.choice(ODD),
    }
    return Hostile({}, json.dumps(body).encode())


def _unknown(dice: random.Random) -> Hostile:
    return well_formed(dice.choice(["no.such.task", "devices.tasks", "os.system", "", "x" * 300, *ODD]))


KINDS: list[Callable[[random.Random], Hostile]] = [
    _odd_header, _headers_gone, _built_in, _embeds, _arguments, _join, _body, _packed, _kind, _kept, _unreadable, _first_protocol, _unknown,
]  # fmt: skip


def messages(seed: int, count: int) -> Iterator[Hostile]:
    """All kinds in turn."""
    dice = random.Random(seed)
    for number in range(count):
        yield KINDS[number % len(KINDS)](dice)


class RawMessage(amqp.Message):
    """Writes properties that are bytes as they are: also what the library would refuse to write."""

    def _serialize_properties(self) -> bytes:
        flags, parts = 0, []
        for place, (name, kind) in enumerate(self.PROPERTIES):
            value = self.properties.get(name)
            if value is None:
                continue
            flags |= 1 << 15 - place
            if isinstance(value, bytes):
                size = 4 if kind == "F" else 1
                parts.append(len(value).to_bytes(size, "big") + value)
            else:
                parts.append(dumps(kind, [value]))
        return flags.to_bytes(2, "big") + b"".join(parts)


def to_rabbitmq(channel: amqp.Channel, message: Hostile, queue: str) -> None:
    """What AMQP itself cannot carry is left as it was."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    text = {
        name: value
        for name, value in (("content_type", message.content_type), ("content_encoding", message.content_encoding))
        if isinstance(value, str)
    }
    written = {**text, **message.properties, "application_headers": headers, **message.envelope}
    if (place := written.pop(ROUTING_KEY, None)) is not None:
        channel.exchange_declare(TO_ALL, "fanout", auto_delete=False)
        channel.queue_bind(queue, TO_ALL)
        channel.basic_publish(amqp.Message(message.body, **written), exchange=TO_ALL, routing_key=place)
    else:
        kind = RawMessage if message.envelope else amqp.Message
        channel.basic_publish(kind(message.body, **written), routing_key=queue)


def to_redis(client: redis.Redis, message: Hostile, queue: str, dice: random.Random) -> None:
    """Including what is not a message at all."""
    if dice.random() < 0.1:
        client.lpush(
            queue, dice.choice([b"", b"x", b"5", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 5000, b'{"properties": 5}'])
        )
        return
    whole: dict[str, Any] = {
        "body": base64.b64encode(message.body).decode(),
        "content-encoding": message.content_encoding,
        "content-type": message.content_type,
        "headers": message.headers,
        "properties": {
            **message.properties,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }
    if dice.random() < 0.2:
        where = whole if dice.random() < 0.5 else whole["properties"]
        where[dice.choice(list(where))] = dice.choice(ODD)
    client.lpush(queue, json.dumps(whole))
