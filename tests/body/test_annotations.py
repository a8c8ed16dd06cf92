"""How a body's arguments are checked against its annotations, and what these leave open."""

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Literal

from jobs.body.annotations import adapters

if TYPE_CHECKING:
    from jobs.task import JobContext

Mode = Literal[0, 1]


class Odd:
    """Nobody knows how to check for it."""


def body(  # type: ignore[no-untyped-def]
    ctx: "JobContext",
    *,
    mode: "Mode",
    dry_run: "bool",
    contexts: "list[JobContext]",
    odd: "Odd",
    anything=None,
    **more: "int",
) -> None: ...


def test_an_annotation_that_promises_nothing_takes_nothing_from_the_others() -> None:
    found = adapters(body, inspect.signature(body))
    assert sorted(found) == ["dry_run", "mode"]
    assert found["mode"].validate_python(1) == 1


def test_the_annotations_of_a_decorated_body_are_its_own() -> None:
    elsewhere = FunctionType((lambda *_, **__: None).__code__, {})  # of a module that does not have these names
    elsewhere.__wrapped__ = body  # type: ignore[attr-defined]
    assert sorted(adapters(elsewhere, inspect.signature(elsewhere))) == ["dry_run", "mode"]
