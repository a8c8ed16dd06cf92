"""What one process has parsed, the user's other processes load; no other user can tamper with it."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from devices import parsed_files, yaml_files

# Long texts make a file large; many hosts would only take long to parse.
LARGE = {
    f"sw{number}": {"platform": "lab", "port": number, "data": {"mtu": 1.5, "up": True, "motd": "x" * 600}}
    for number in range(100, 140)
}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """For temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp" / f"cnaasjobs-{os.geteuid()}"


@pytest.fixture
def file(tmp_path: Path, directory: Path) -> Path:
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump(LARGE))
    return path


def parses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(text: str, path: Path) -> Any:
        raise AssertionError("it was parsed again")

    monkeypatch.setattr(yaml_files, "parsed", parsed)


def test_a_large_file_is_parsed_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert yaml_files.read(file) == LARGE
    parses_nothing(monkeypatch)
    assert yaml_files.read(file) == LARGE


def test_a_process_loads_what_another_has_parsed(file: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys, django; django.setup(); from pathlib import Path; from devices import yaml_files"
    argv = [sys.executable, "-c", f"{code}; yaml_files.read(Path(sys.argv[1]))", str(file)]
    subprocess.run(argv, env={**os.environ, "TMPDIR": str(directory.parent)}, check=True, timeout=60)
    parses_nothing(monkeypatch)
    assert yaml_files.read(file) == LARGE


def test_a_file_that_changed_is_parsed_again_and_its_old_content_is_gone(file: Path, directory: Path) -> None:
    file.write_text(file.read_text() + "last: {password: Hunter2-before}\n")
    yaml_files.read(file)
    stamp = file.stat()
    file.write_text(file.read_text().replace("Hunter2-before", "Hunter2-behind"))
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert yaml_files.read(file)["last"] == {"password": "Hunter2-behind"}
    (kept,) = directory.iterdir()
    assert "Hunter2-before" not in kept.read_text()


def test_only_this_user_can_read_what_is_kept(file: Path, directory: Path) -> None:
    yaml_files.read(file)
    (kept,) = directory.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory, kept)] == [0o700, 0o600]


def test_nothing_is_kept_where_others_may_enter(file: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml_files.read(file)
    directory.chmod(0o755)
    assert parsed_files.load(file, file.read_text()) is None
    for kept in directory.iterdir():
        kept.unlink()
    yaml_files.read(file)
    assert not list(directory.iterdir())


def test_nothing_is_kept_where_somebody_left_a_link(file: Path, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    directory.symlink_to(tmp_path / "elsewhere")
    assert yaml_files.read(file) == LARGE
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("forged", ["signature", "content", "no json", "empty", "bytes"])
def test_what_was_not_signed_is_not_believed(file: Path, directory: Path, forged: str) -> None:
    yaml_files.read(file)
    (kept,) = directory.iterdir()
    signature, _, content = kept.read_text().partition("\n")
    texts = {
        "signature": f"{'0' * len(signature)}\n{content}",
        "content": f"{signature}\n{content.replace('sw111', 'sw999')}",
        "no json": f"{signature}\n{{",
        "empty": "",
        "bytes": "",
    }
    kept.write_text(texts[forged])
    if forged == "bytes":
        kept.write_bytes(b"\xff\xfe")
    assert yaml_files.read(file) == LARGE


@pytest.mark.parametrize("odd", ["{day: 2026-01-02}", "{1: one}", "{set: !!set {a, b}}", "{data: !!binary aGVsbG8=}"])
def test_what_json_would_bring_back_otherwise_is_parsed_each_time(file: Path, directory: Path, odd: str) -> None:
    file.write_text(file.read_text() + f"odd: {odd}\n")
    first = yaml_files.read(file)
    assert not list(directory.iterdir())
    assert repr(yaml_files.read(file)) == repr(first)


def test_what_aliases_repeat_without_end_is_not_written_out(file: Path, directory: Path) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]" for n in range(1, 12)]
    file.write_text(file.read_text() + "\n".join(layers) + "\n")
    yaml_files.read(file)
    assert not list(directory.iterdir())


def test_a_small_file_stays_in_its_process(tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = tmp_path / "small.yml"
    small.write_text(f"{tmp_path}: [1]\n")
    first = yaml_files.read(small)
    first[str(tmp_path)].append("what a reader adds")
    parses_nothing(monkeypatch)
    assert yaml_files.read(small) == {str(tmp_path): [1]}
    assert not directory.exists()


def test_a_small_file_that_changed_is_parsed_again(tmp_path: Path) -> None:
    small = tmp_path / "small.yml"
    for password in ("Hunter2-before", "Hunter2-behind"):
        small.write_text(f"{tmp_path}: {password}\n")
        assert yaml_files.read(small) == {str(tmp_path): password}


@pytest.mark.parametrize("odd", ["day: 2026-01-02", "1: one", "set: !!set {a, b}", "data: !!binary aGVsbG8="])
def test_a_small_file_is_read_again_as_it_was_read_first(tmp_path: Path, odd: str) -> None:
    """What JSON would bring back otherwise."""
    small = tmp_path / "small.yml"
    small.write_text(f"{odd}\n")
    first = yaml_files.read(small)
    assert repr(yaml_files.read(small)) == repr(first)


def test_only_some_short_texts_are_kept(tmp_path: Path) -> None:
    small = tmp_path / "small.yml"
    for number in range(300):
        small.write_text(f"number: {number}\n")
        yaml_files.read(small)
    assert len(parsed_files._short) <= 100
