"""When the code in the files is another than the code that runs."""

import os
import shutil
from pathlib import Path

import pytest

from cnaasjobs.run.changed import Code


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app of one's own, of three files in directories of theirs."""
    for name in ("first", "second", "third"):
        (tmp_path / "own_app" / name).mkdir(parents=True)
        (tmp_path / "own_app" / name / "tasks.py").write_text("old")
    (tmp_path / "own_module.py").write_text("an app may be one")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "own_app"


def test_a_file_that_is_new_or_was_touched_or_got_longer(own: Path) -> None:
    code = Code(["own_app.apps.Own", "own_module", "no_such_app"])
    assert code.changed() is None
    (own / "notes.txt").write_text("x")
    (own / "first" / "tasks.py").unlink()
    assert code.changed() is None  # what was loaded goes on
    for name, file in (("a template", own / "page.html"), ("a module", own / "second" / "later.py")):
        file.write_text(name)
        assert code.changed() == file
        file.unlink()
    tasks = own / "third" / "tasks.py"
    before = tasks.stat()
    tasks.write_text("new")
    os.utime(tasks, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert code.changed() == tasks
    tasks.write_text("longer")
    os.utime(tasks, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert code.changed() == tasks


def test_a_checkout_may_remove_directories_while_it_is_looked_at(own: Path) -> None:
    code = Code(["own_app"])
    code._directories = [own]
    looks = code._look()
    seen, _ = next(looks)
    for directory in {*own.iterdir()} - {seen.parent}:
        shutil.rmtree(directory)
    assert [*looks] == []
    broken = own / "broken.py"
    broken.symlink_to("nowhere")
    assert code.changed() is None
