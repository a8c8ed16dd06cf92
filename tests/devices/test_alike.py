"""What must be the same in two processes so that they may work on one sync."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cnaasjobs.secrecy import Secrets
from devices import inventory
from devices.sync.alike import _files, alike
from devices.tasks import sync_devices
from jobs.states import Status
from jobs.testing import perform_job
from tests.devices.lab import Lab


def now() -> str:
    inventory.forget()
    inventory.nornir()
    return alike(Secrets.from_environment())


def test_the_same_files_make_the_same_mark(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.add("sw1", "sw2")
    (lab.templates / "other").mkdir()
    (lab.templates / "other" / "part.j2").touch()
    before, sources = now(), _files(lab.templates, ".j2")
    os.utime(lab.templates / "lab" / "full.j2", (0, 0))
    lab.write()
    monkeypatch.setattr(os, "walk", _backwards(os.walk))
    (lab.templates / ".git").mkdir()
    (lab.templates / ".git" / "index").write_text("times and inodes of this clone")
    (lab.templates / ".git" / "sample.j2").touch()
    assert now() == before  # as a clone on another machine has it: other times, listed otherwise, the same content
    for name in ("first", "second"):
        (lab.templates / name).mkdir()
        (lab.templates / name / ".git").write_text(f"gitdir: ../.git/modules/{name}")
    assert now() == before
    (lab.templates / "lab" / "full.j2c").touch()
    assert _files(lab.templates, ".j2") == sources


def test_a_config_map_makes_the_same_mark_in_each_pod(tmp_path: Path) -> None:
    marks = set()
    for pod, shown_at, text in ("a", "..2026_11", "x"), ("b", "..2026_12", "x"), ("c", "..2026_12", "y"):
        place = tmp_path / pod
        (place / shown_at).mkdir(parents=True)
        (place / shown_at / "full.j2").write_text(text)
        (place / "..data").symlink_to(shown_at)
        (place / "full.j2").symlink_to("..data/full.j2")
        marks.add(_files(place))
    assert len(marks) == 2


def _backwards(walk: Callable[..., Iterator[tuple[str, list[str], list[str]]]]) -> Callable[..., Any]:
    """As another file system lists directories."""

    def listed(directory: Path) -> Iterator[tuple[str, list[str], list[str]]]:
        for place, directories, names in walk(directory):
            directories.reverse()
            names.reverse()
            yield place, directories, names

    return listed


def test_another_inventory_template_or_secret_makes_another(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.add("sw1")
    seen = {now()}
    lab.change("sw1", motd="new")
    seen.add(now())
    lab.template("another {{ host }}\n")
    seen.add(now())
    lab.template("x", name="included.j2")
    seen.add(now())
    (lab.templates / "lab" / "included.j2").rename(lab.templates / "lab" / "included2.j2")
    seen.add(now())
    for name in ("first", "second"):
        (lab.templates / name).mkdir()
    for name in ("first", "second"):
        (lab.templates / "lab" / "common").unlink(missing_ok=True)
        (lab.templates / "lab" / "common").symlink_to(f"../{name}")
        seen.add(now())
    for value in ("first-value", "second-value"):
        monkeypatch.setenv("TEMPLATE_SECRET_X", value)
        seen.add(now())
    assert len(seen) == 9
    assert not any("value" in mark for mark in seen)


@pytest.mark.django_db(transaction=True)
def test_keys_that_are_no_texts_and_templates_that_are_missing_are_no_fault(lab: Lab) -> None:
    lab.workers = 1
    lab.add("sw1", "sw2")
    for name in ("sw1", "sw2"):
        lab.hosts[name]["data"] |= {"vlans": {100: "users", "native": 1, None: 2, True: 3}, 7: "x"}
    lab.write()
    job = perform_job(sync_devices, all=True)
    assert (job.status, job.exception_type) == (Status.FINISHED, None)
    (lab.templates / "lab" / "unreadable").symlink_to("x" * 300)
    assert perform_job(sync_devices, all=True).status == Status.FINISHED
    for file in (lab.templates / "lab").iterdir():
        file.unlink()
    (lab.templates / "lab").rmdir()
    lab.templates.rmdir()
    assert perform_job(sync_devices, all=True).status == Status.FINISHED
