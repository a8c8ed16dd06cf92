"""Fixtures of the devices' tests."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pytest_django import Settings

from devices import inventory
from devices.drivers import driver_named
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab
from tests.services.processes import ROOT, Platform

OLD = "374eb4f"  # a release that test_release_before runs beside this one


def _is_known() -> bool:
    """Whether there is git, and a history with it: a copy of the source has none."""
    argv = ["git", "cat-file", "-e", f"{OLD}^{{commit}}"]
    return shutil.which("git") is not None and subprocess.run(argv, cwd=ROOT, stderr=subprocess.DEVNULL).returncode == 0


collect_ignore = [] if _is_known() else ["test_release_before.py"]


@pytest.fixture(autouse=True)
def _no_secrets_of_earlier_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process goes on masking what its last inventory called secret, be it "true"."""
    monkeypatch.setattr(inventory, "_known", frozenset())
    monkeypatch.setattr(inventory, "_to_mask", frozenset())


@pytest.fixture
def lab(tmp_path: Path, settings: Settings) -> Lab:
    """An empty inventory with the template of ``tests.devices.lab``; hosts are added by the test."""
    lab = Lab(tmp_path)
    settings.NORNIR_CONFIG = lab.config
    settings.CNAASJOBS_TEMPLATES = lab.templates
    settings.CNAASJOBS_STATE_DIR = lab.state
    return lab


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Foreign:
    """NAPALM drivers that the project has never seen."""
    driver_named.cache_clear()
    return Foreign(tmp_path / "site-packages", monkeypatch)


@pytest.fixture
def site(lab: Lab, platform: Platform, settings: Settings) -> Platform:
    """Processes that serve the inventory of ``lab``."""
    lab.state = settings.CNAASJOBS_STATE_DIR = platform.directory
    platform.env |= {"NORNIR_CONFIG": str(lab.config), "CNAASJOBS_TEMPLATES": str(lab.templates)}
    return platform
