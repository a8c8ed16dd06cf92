"""The arguments of ``ctx.each``: which are refused, and whether two processes have the same."""

import asyncio
import functools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.fleet.assignment import Assignment, name_of
from jobs.models import Fleet
from jobs.task import JobContext, job
from jobs.testing import perform_job
from tests.fake_jobs import fleets


def assigned(devices: Any, *steps: Any, at_once: Any = 2, alike: str = "", **given: Any) -> Assignment:
    more: dict[str, Any] = dict.fromkeys(["seconds", "lost", "hung", "back", "within"]) | given
    never: dict[str, Any] = {"all_or_none": False, "reads_first": False, "repeats": False, "helpers": 0}
    calls: dict[str, Any] = {"leaving": lambda: None, "beforehand": lambda devices: None}
    return Assignment.of(devices, steps, at_once=at_once, alike=alike, **more, **never, **calls)


def act(device: str) -> str:
    return device


def also(device: str) -> str:
    return device


def _hidden(device: str) -> str:
    return device


def from_file(file: Path, source: str) -> Any:
    file.write_text(source)
    found: dict[str, Any] = {}
    exec(compile(source, file, "exec"), found)
    return found["act"]


@pytest.mark.parametrize(
    ("devices", "steps", "at_once", "words"),
    [
        (["a", ""], [act], 1, "must have 1 to 255 characters"),
        (["a", 7], [act], 1, "7 is not a device"),
        (["a"], [], 1, "needs a function"),
        (["a"], [act], 0, "at_once=0 must be a whole number, at least 1"),
        (["a"], [act], "2", "at_once='2' must be"),
        ("abc", [act], 1, "the devices are one name, 'abc': give a list"),
        (["a"], [act, "also"], 1, "a step must be a plain function, .* not 'also'"),
        (["a"], [asyncio.sleep], 1, "a step must be a plain function, neither async"),
    ],
)
def test_what_cannot_be_done_is_refused(devices: list[Any], steps: list[Any], at_once: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        assigned(devices, *steps, at_once=at_once)


@pytest.mark.parametrize("name", ["seconds", "within"])
@pytest.mark.parametrize("value", [-1, math.inf, math.nan, "5"])
def test_a_time_that_is_none_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name}={value!r} must be a number of seconds, and not below 0"):
        assigned(["a"], act, **{name: value})


def test_a_time_may_be_nothing_or_a_fraction() -> None:
    each = assigned(["a"], act, seconds=0, within=0.5)
    assert (each.seconds, each.within) == (0, 0.5)


@pytest.mark.parametrize("name", ["lost", "hung", "back"])
def test_what_is_called_must_be_a_function(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a plain function"):
        assigned(["a"], act, **{name: "act"})


@job(rerun_if_lost=True)
def may_be_repeated(ctx: JobContext, *, together: bool = False, dry_run: bool = False) -> None:
    ctx.each(["a"], fleets.act, all_or_none=together)


@pytest.mark.django_db(transaction=True)
def test_devices_of_a_lost_process_are_begun_again_only_where_that_is_harmless() -> None:
    repeats = [
        Fleet.objects.get(pk=done.pk).repeats
        for done in (
            perform_job(fleets.each, hosts=["a"], dry_run=False),
            perform_job(fleets.each, hosts=["a"], dry_run=True),
            perform_job(may_be_repeated),
            perform_job(may_be_repeated, together=True, dry_run=True),  # the others would wait for it, and it for them
        )
    ]
    assert repeats == [False, True, True, False]


def test_a_process_that_has_something_else_has_another_fingerprint(tmp_path: Path) -> None:
    here = from_file(tmp_path / "here.py", "def act(device): return device")
    changed = from_file(tmp_path / "changed.py", "def act(device): return device + 'x'")
    assignments = [
        assigned(["a", "b"], act),
        assigned(["b", "a"], act),
        assigned(["a"], act),
        assigned(["a", "b"], also),
        assigned(["a", "b"], act, also),
        assigned(["a", "b"], act, alike="other templates"),
        assigned(["a", "b"], here),
        assigned(["a", "b"], changed),
    ]
    assert len({each.fingerprint for each in assignments}) == len(assignments)


def test_what_is_the_same_elsewhere_has_the_same_fingerprint(tmp_path: Path) -> None:
    source = "def act(device): return device"
    here, there = (from_file(tmp_path / name, source) for name in ("here.py", "there.py"))
    assert assigned(["a\udc80"], here).fingerprint == assigned(["a\udc80"], there).fingerprint


def test_a_device_may_be_a_name_or_an_object_with_one() -> None:
    named, longest = SimpleNamespace(name="a"), "x" * 255
    assert assigned([named, longest], act).devices == {"a": named, longest: longest}


def test_a_step_may_be_anything_that_can_be_called(tmp_path: Path) -> None:
    gone = from_file(tmp_path / "gone.py", "def act(device): return device")
    (tmp_path / "gone.py").unlink()
    steps = [gone, functools.partial(act), str, _hidden]
    assert [name_of(step) for step in assigned(["a"], *steps).steps] == ["act", "partial", "str", "hidden"]


def test_of_a_step_that_is_wrapped_what_it_wraps_counts(tmp_path: Path) -> None:
    inner = [from_file(tmp_path / f"{name}.py", f"def act(device): return '{name}'") for name in "ab"]
    wrapped = [functools.wraps(step)(lambda device: device) for step in inner]
    assert assigned(["a"], wrapped[0]).fingerprint != assigned(["a"], wrapped[1]).fingerprint
