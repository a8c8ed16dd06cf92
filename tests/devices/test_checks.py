"""A wrong setting is named at start."""

from pathlib import Path

import pytest
from pytest_django import Settings

from devices.checks import settings_make_sense


def found() -> list[str]:
    return [str(message.id) for message in settings_make_sense(None)]


def test_the_defaults_pass_every_check() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("name", "value", "check"),
    [
        ("NORNIR_CONFIG", Path("/nosuch"), "devices.W001"),
        ("CNAASJOBS_TEMPLATES", Path("/nosuch"), "devices.W002"),
    ],
)
def test_a_place_where_nothing_is_is_named(settings: Settings, name: str, value: object, check: str) -> None:
    setattr(settings, name, value)
    assert found() == [check]


def test_a_secret_that_is_too_short_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_A", "abc")
    monkeypatch.setenv("TEMPLATE_SECRET_EMPTY", "")
    assert found() == ["devices.W003"]
