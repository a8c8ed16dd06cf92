"""Files stay small enough to be read in one go."""

import subprocess

from tests.house.named import ROOT

LINES = 300


def test_no_file_of_code_or_tests_is_longer_than_can_be_read_in_one_go() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = {
        name: len(path.read_text().splitlines()) for name in listed.stdout.split() if (path := ROOT / name).exists()
    }
    assert len(lines) > 500
    assert {name: count for name, count in lines.items() if count > LINES} == {}
