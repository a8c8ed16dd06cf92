"""At full length, no threshold or outage is shortened."""

import os
import subprocess
import sys

import pytest

from tests.reliability.scale import FULL_LENGTH


@pytest.mark.parametrize(("asked", "factor"), [("1", "1.0"), ("0", "15.0")])
def test_full_length_reaches_the_tests_and_what_they_start(asked: str, factor: str) -> None:
    code = "import tests.settings, tests.reliability.scale as scale; print(scale.FACTOR)"
    env = {**os.environ, FULL_LENGTH: asked}
    env.pop("CNAASJOBS_STARTED_BY_TESTS", None)
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == factor
