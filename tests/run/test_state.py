"""The state directory holds secrets: only its owner can read it, or ``make run`` refuses to start."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from cnaasjobs.embedded import socket_directory
from cnaasjobs.run import state
from cnaasjobs.run.config import StartError
from cnaasjobs.run.state import StateDirectory, secret, write_secret


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A state directory from an earlier version, open to everybody."""
    state = tmp_path / "state"
    (state / "broker" / "appendonlydir").mkdir(parents=True)
    for name in ("db.sqlite3", "db.sqlite3-wal", "secret-key", "token.new", "broker/appendonlydir/1.aof"):
        (state / name).touch()
        (state / name).chmod(0o666)
    for directory in (state, state / "broker", state / "broker" / "appendonlydir"):
        directory.chmod(0o777)
    return state


def others_may(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory, *directory.rglob("*")) if path.lstat().st_mode & 0o077)


def opened(directory: Path) -> None:
    os.close(StateDirectory(directory).lock)


def test_a_new_directory_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened(tmp_path / "state")
    finally:
        os.umask(before)
    assert others_may(tmp_path / "state") == []


def test_an_old_directory_is_closed_to_others(old: Path) -> None:
    opened(old)
    assert others_may(old) == []
    assert stat.S_IMODE((old / "secret-key").stat().st_mode) == 0o600


def test_what_is_not_ours_is_left_alone(old: Path) -> None:
    """Somebody gave their home directory."""
    (old / "thesis.txt").touch(0o644)
    with pytest.raises(StartError, match=r"a file that is not the platform's \(thesis.txt\), and others can access it"):
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
@pytest.mark.parametrize("name", ["", "secret-key", "broker/appendonlydir", "lab"])
def test_what_another_user_put_there_is_refused_by_name(old: Path, name: str) -> None:
    """That user would know the key, or could read what is written into the file."""
    (old / "lab").symlink_to(old)
    os.chown(old / name, 12345, -1, follow_symlinks=False)
    with pytest.raises(StartError, match="belongs to another user") as refusal:
        StateDirectory(old)
    assert str(old / name) in str(refusal.value)


def test_a_directory_serves_one_copy_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1234567890\n")  # an earlier one's number, which was longer
    first = StateDirectory(tmp_path)
    with pytest.raises(StartError, match=f"is in use by process {os.getpid()}: "):
        StateDirectory(tmp_path)
    os.truncate(first.lock, 0)  # as it is for a moment, before that
    with pytest.raises(StartError, match=r"is in use by process \?: "):
        StateDirectory(tmp_path)
    os.close(first.lock)
    opened(tmp_path)


def test_one_that_can_not_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="Cannot write to the state directory"):
        StateDirectory(tmp_path / "file" / "state")


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "token").touch(0o600)  # which opens nothing
    (tmp_path / "token.new").touch(0o666)  # what a copy left behind that was killed
    before = os.umask(0)
    try:
        assert secret(tmp_path / "token", lambda: "first") == "first"
        assert secret(tmp_path / "token", lambda: "second") == "first"
        write_secret(tmp_path / "token", "third")
    finally:
        os.umask(before)
    assert (tmp_path / "token").read_text() == "third\n"
    assert (others_may(tmp_path), [*tmp_path.iterdir()]) == ([], [tmp_path / "token"])


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_LOG_BYTES", 10)
    directory = StateDirectory(tmp_path)
    for size in (0, 10, 11):
        directory.log("web").write_text("x" * size)
        assert directory.log("web").exists() == (size <= 10)
    assert (tmp_path / "log" / "web.log.1").stat().st_size == 11
    os.close(directory.lock)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[StateDirectory]:
    """Its path is too long for a socket, which is in a directory under /tmp then, where anybody may make one."""
    directory = StateDirectory(tmp_path / ("x" * 100))
    yield directory
    os.close(directory.lock)
    rmtree(socket_directory(directory.path))


def test_sockets_are_where_nobody_else_can_go(far: StateDirectory) -> None:
    place = far.socket("web")
    place.touch()
    assert not far.socket("web").exists(), "one that an earlier copy left behind"
    assert place.parent == socket_directory(far.path) != far.path
    assert others_may(place.parent) == []
    place.parent.chmod(0o710)
    with pytest.raises(StartError, match="is accessible to others"):
        far.socket("web")
    place.parent.rename(far.path / "elsewhere")
    (far.path / "elsewhere").chmod(0o700)
    place.parent.symlink_to(far.path / "elsewhere")  # anybody may make a link to what is ours
    with pytest.raises(StartError, match="is accessible to others"):
        far.socket("web")
    place.parent.unlink()
    place.parent.mkdir()


@pytest.mark.needs("root")
def test_sockets_are_not_where_another_user_can_go(far: StateDirectory) -> None:
    os.chown(far.socket("web").parent, 12345, -1)
    with pytest.raises(StartError, match="is accessible to others"):
        far.socket("web")
