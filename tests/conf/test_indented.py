"""JSON for people to read."""

import json

import pytest

from cnaasjobs.indented import indented, indented_text


def nested(depth: int) -> str:
    return "[" * depth + "1" + "]" * depth


@pytest.mark.parametrize(
    ("stored", "shown"),
    [('"just words"', "just words"), ('{"å": [1]}', '{\n  "å": [\n    1\n  ]\n}'), ("[]", "[]"), ("null", "null")],
)
def test_it_is_indented_but_for_text(stored: str, shown: str) -> None:
    assert indented_text(stored) == shown


@pytest.mark.parametrize("depth", [100, 500, 9000])
def test_what_is_deep_stays_as_it_is(depth: int) -> None:
    """How deeply Python reads depends on its version: 9,000 levels, indented, would be 160 MB."""
    assert indented_text(nested(depth)) == nested(depth)
    objects = '{"a":' * depth + "1" + "}" * depth
    assert indented_text(objects) == objects


def test_what_is_less_deep_is_indented() -> None:
    assert indented_text(nested(99)).count("\n") == 2 * 99
    assert indented(json.loads(nested(101)), otherwise="too deep") == "too deep"
