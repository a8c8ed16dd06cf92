"""Every setting is documented, and what is documented is a setting."""

import re
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_every_setting_stands_in_the_table() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"`((?:CNAASJOBS_|[A-Z]+_?)[A-Z_]+)`", text)) - {"INFO"}
    read = set()
    for path in (ROOT / "cnaasjobs" / "settings.py", ROOT / "gunicorn.conf.py"):
        read |= set(re.findall(r'env\.\w+\("(\w+)"', path.read_text()))
        read |= set(re.findall(r'os\.environ\.get\("(\w+)"', path.read_text()))
    assert read - documented == set()
    assert documented - read == {"PORT", "HOST"}  # of make run


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CNAASJOBS_HEARTBEAT_SECONDS", 0, "must be greater than zero"),
        ("CNAASJOBS_LOCK_WAIT_SECONDS", -1, "must be greater than zero"),
        ("CNAASJOBS_WORKER_LOST_SECONDS", 5, "at least three times CNAASJOBS_HEARTBEAT_SECONDS"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(settings: Settings, name: str, value: float, words: str) -> None:
    setattr(settings, name, value)
    messages = [message.msg for message in run_checks()]
    assert any(name in message and words in message for message in messages), messages
