"""The state directory holds secrets: it is for its owner alone, or make run does not start in it."""

import os
import stat
from pathlib import Path

import pytest

from cnaasjobs.run.config import StartError
from cnaasjobs.run.state import StateDirectory


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A state directory from an earlier version, open to everybody."""
    state = tmp_path / "state"
    (state / "broker" / "appendonlydir").mkdir(parents=True)
    for name in ("db.sqlite3", "db.sqlite3-wal", "secret-key", "broker/appendonlydir/1.aof"):
        (state / name).touch()
        (state / name).chmod(0o666)
    for directory in (state, state / "broker", state / "broker" / "appendonlydir"):
        directory.chmod(0o777)
    return state


def others_may(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory, *directory.rglob("*")) if path.lstat().st_mode & 0o077)


def opened(directory: Path) -> None:
    os.close(StateDirectory(directory).lock)


def test_a_new_one_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened(tmp_path / "state")
    finally:
        os.umask(before)
    assert others_may(tmp_path / "state") == []


def test_an_old_one_is_mended(old: Path) -> None:
    opened(old)
    assert others_may(old) == []
    assert stat.S_IMODE((old / "secret-key").stat().st_mode) == 0o600


def test_what_is_not_ours_is_left_alone(old: Path) -> None:
    """Somebody gave their home directory."""
    (old / "thesis.txt").touch(0o644)
    with pytest.raises(StartError, match=r"holds what is not of the platform \(thesis.txt\) and is open to others"):
        StateDirectory(old)
    assert others_may(old) != []
    old.chmod(0o700)
    opened(old)
    assert others_may(old) == ["thesis.txt"]


def test_a_link_is_not_followed(old: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    (tmp_path / "elsewhere" / "file").touch(0o644)
    (old / "lab").symlink_to(tmp_path / "elsewhere")
    opened(old)
    assert others_may(tmp_path / "elsewhere") == ["elsewhere", "file"]


@pytest.mark.needs("root")  # only root can give a file away
@pytest.mark.parametrize("name", ["", "secret-key", "broker/appendonlydir"])
def test_what_another_user_put_there_is_refused_by_name(old: Path, name: str) -> None:
    """That user would know the key, or could read what is written into the file."""
    os.chown(old / name, 12345, -1)
    with pytest.raises(StartError, match="belongs to another user") as refusal:
        StateDirectory(old)
    assert str(old / name) in str(refusal.value)
