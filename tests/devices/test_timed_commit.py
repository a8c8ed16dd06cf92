"""A commit with a timer: until when it is ours to confirm or to take back, and what is said of it afterwards."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from nornir.core.inventory import Host

from devices.lab.driver import LabDriver
from devices.sync import timed_commit
from devices.sync.timed_commit import TimedCommit
from devices.sync.words import DeviceFailure, Words
from tests.devices.lab import Lab, reason
from tests.devices.test_pending import UNTIL, live
from tests.devices.test_stopping import when


def test_the_timer_may_run_since_the_commit_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("devices.sync.timed_commit.time.monotonic", lambda: now[0])
    slow: Any = SimpleNamespace(commit=lambda revert_in: now.append(now.pop() + 55), pending_name=lambda: "ours")
    before = datetime.now(UTC)
    commit = TimedCommit(slow, Words(Host("sw1"), 1), revert_in=60)
    seconds = range(60, 62 + int((datetime.now(UTC) - before).total_seconds()))
    ends = {f"reverts by itself by {before + timedelta(seconds=later):%H:%M:%S} UTC" for later in seconds}
    assert commit.take_back() == commit.reverts
    assert commit.reverts in ends
    with pytest.raises(DeviceFailure, match="too late to confirm"):
        commit.confirm()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", [1, 2])
def test_near_its_end_a_commit_is_left_to_its_timer(lab: Lab, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setattr(timed_commit, "LEFT_ALONE_SECONDS", 300.0)
    lab.add("sw1")
    rolled_back = when(monkeypatch, "rollback", "nobody", lambda: None)
    assert re.fullmatch(f"too late to confirm the commit; {UNTIL}", reason(live(confirm_mode=mode), "sw1"))
    assert (rolled_back, LabDriver("sw1").has_pending_commit()) == ([], True)
