"""How a body's arguments are checked against its annotations, and what these leave open."""

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import pytest
from pydantic import BaseModel, TypeAdapter

from jobs.body.annotations import adapters, why_not

if TYPE_CHECKING:
    from jobs.task import JobContext

Mode = Literal[0, 1]


class Port(TypedDict):
    """pydantic refuses typing's own before Python 3.12."""

    number: int


class Vlan(BaseModel):
    vid: int


class Odd:
    """Nobody knows how to check for it."""


def body(  # type: ignore[no-untyped-def]
    ctx: "JobContext",
    *,
    mode: "Mode",
    dry_run: "bool",
    contexts: "list[JobContext]",
    odd: "Odd",
    port: "Port",
    anything=None,
    **more: "int",
) -> None: ...


def test_an_annotation_that_promises_nothing_takes_nothing_from_the_others() -> None:
    found = adapters(body, inspect.signature(body))
    assert sorted({*found} - {"port"}) == ["dry_run", "mode"]
    assert found["mode"].validate_python(1) == 1


def test_the_annotations_of_a_decorated_body_are_its_own() -> None:
    elsewhere = FunctionType((lambda *_, **__: None).__code__, {})  # of a module that does not have these names
    elsewhere.__wrapped__ = body  # type: ignore[attr-defined]
    assert {"dry_run", "mode"} <= {*adapters(elsewhere, inspect.signature(elsewhere))}


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(Vlan, {"vid": 3}), (Vlan, Vlan(vid=3)), (list[Vlan], [{"vid": 3}]), (dict[str, Vlan | None], {"a": {"vid": 3}})],
)
def test_a_body_that_expects_a_model_would_get_a_dict(annotation: Any, value: object) -> None:
    assert str(why_not(TypeAdapter(annotation), value)).endswith("as a dict, and make the Vlan in the body")
    assert why_not(TypeAdapter(Vlan | None), None) is None
