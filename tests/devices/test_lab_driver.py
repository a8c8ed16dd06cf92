"""The lab driver: a NAPALM driver over files."""

import os
import stat
import threading

import pytest
from napalm.base.exceptions import CommitError, ConnectAuthError, ConnectionException, ReplaceConfigException

from devices.lab.driver import LabDriver
from tests.devices.lab import Lab
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("lab")


def opened(name: str = "sw1", **args: object) -> LabDriver:
    device = LabDriver(name, "admin", "admin", optional_args=args)
    device.open()
    return device


def loaded(config: str, name: str = "sw1", **args: object) -> LabDriver:
    device = opened(name, **args)
    device.load_replace_candidate(config=config)
    return device


def running(name: str = "sw1") -> str:
    return str(opened(name).get_config(retrieve="running")["running"])


def test_a_device_without_a_file_is_empty() -> None:
    assert running() == ""
    assert loaded("a\nb\n").compare_config() == "@@ -0,0 +1,2 @@\n+a\n+b"


def test_a_commit_is_the_running_configuration(lab: Lab) -> None:
    loaded("a\n").commit_config()
    assert (running(), lab.running("sw1")) == ("a\n", "a\n")
    assert loaded("a\n").compare_config() == ""
    assert loaded("b\n").compare_config() == "@@ -1 +1 @@\n-a\n+b"


def test_a_configuration_is_for_its_owner_whatever_the_umask(lab: Lab) -> None:
    before = os.umask(0)
    try:
        loaded("password x\n").commit_config(revert_in=60)
        loaded("password x\n", "sw2").commit_config()
    finally:
        os.umask(before)
    made = [lab.state / "lab", *(lab.state / "lab").rglob("*")]
    assert len(made) >= 4
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in made if path.is_file()} == {"0o600"}
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in made if path.is_dir()} == {"0o700"}


def test_a_discarded_candidate_leaves_nothing(lab: Lab) -> None:
    device = loaded("a\n")
    device.discard_config()
    assert device.compare_config() == ""
    with pytest.raises(CommitError):
        device.commit_config()
    assert lab.running("sw1") is None


@pytest.mark.parametrize(
    ("fail", "error"), [("open", ConnectionException), ("auth", ConnectAuthError), ("load", ReplaceConfigException)]
)
def test_it_fails_where_it_is_told(fail: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        loaded("a\n", fail=fail)


def test_it_fails_to_commit_when_told(lab: Lab) -> None:
    for timer in (None, 60):
        with pytest.raises(CommitError):
            loaded("a\n", fail="commit").commit_config(revert_in=timer)
    assert (lab.running("sw1"), running()) == (None, "")


def test_an_unknown_failure_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of"):
        LabDriver("sw1", optional_args={"fail": "sometimes"})


def test_a_pending_commit_runs_until_it_is_confirmed(lab: Lab) -> None:
    loaded("old\n").commit_config()
    device = loaded("new\n")
    device.commit_config(revert_in=60)
    assert device.has_pending_commit()
    assert (running(), lab.running("sw1")) == ("new\n", "old\n")
    device.confirm_commit()
    assert not device.has_pending_commit()
    assert (running(), lab.running("sw1")) == ("new\n", "new\n")


def test_it_reverts_by_itself_when_the_time_is_over() -> None:
    loaded("old\n").commit_config()
    device = loaded("new\n")
    device.commit_config(revert_in=1)
    del device  # whoever committed is gone
    assert running() == "new\n"
    wait_until(lambda: running() == "old\n")
    with pytest.raises(CommitError):
        opened().confirm_commit()


def test_a_restart_of_the_machine_ends_a_pending_commit(lab: Lab) -> None:
    loaded("new\n").commit_config(revert_in=60)
    assert running() == "new\n"
    directory = lab.pending_file("sw1").parent
    directory.rename(directory.with_name("the start before"))
    assert running() == ""


def test_only_one_commit_may_be_pending() -> None:
    loaded("a\n").commit_config(revert_in=60)
    for timer in (None, 60):
        with pytest.raises(CommitError):
            loaded("b\n").commit_config(revert_in=timer)
    assert running() == "a\n"


def test_rollback_undoes_a_pending_commit_or_else_the_last() -> None:
    loaded("old\n").commit_config()
    device = loaded("new\n")
    device.commit_config(revert_in=60)
    device.rollback()
    assert (running(), device.has_pending_commit()) == ("old\n", False)
    device = loaded("new\n")
    device.commit_config()
    device.rollback()
    assert running() == "old\n"


def test_rollback_undoes_a_confirmed_commit() -> None:
    device = loaded("old\n")
    device.commit_config()
    device.load_replace_candidate(config="new\n")
    device.commit_config(revert_in=60)
    device.confirm_commit()
    device.rollback()
    assert running() == "old\n"


@pytest.mark.parametrize("name", ["", ".", "..", "../sw1", "a/b", "/etc/passwd", ".hidden", "a\x00b"])
def test_a_name_stays_in_its_directory(lab: Lab, name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name"):
        LabDriver(name)


def test_the_delay_is_once_per_device_and_not_paid_again_to_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    device = loaded("a\n", delay_seconds=0.05)
    device.commit_config(revert_in=60)
    opened(delay_seconds=0.05)
    device.confirm_commit()
    assert slept == [0.05]


def test_many_devices_can_be_changed_at_once(lab: Lab) -> None:
    def work(number: int) -> None:
        device = loaded(f"{number}\n", name=f"sw{number}")
        device.commit_config(revert_in=60)
        device.confirm_commit()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(lab.running(f"sw{number}") == f"{number}\n" for number in range(50))
