"""An upgrade replaces files under a server that still runs: it goes on answering with what it began with."""

import ast
import re
from collections.abc import Iterator
from copy import deepcopy
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.template.loader import render_to_string
from pytest_django import Settings

import cnaasjobs.settings
from cnaasjobs.read_ahead import read_ahead
from tests.conf.test_table import PRODUCTION
from tests.services.program import run_program

OURS = ("cnaasjobs", "console", "devices", "jobs", "locks")
FOR_WORKERS = {"devices.apps", "devices.tasks", "jobs.worker"}  # import in their functions what only workers need
STARTED = """
import runpy, sys
import cnaasjobs.wsgi, jobs.task
runpy.run_path("gunicorn.conf.py")["on_starting"](None)
print(*(loaded := {*sys.modules}))
jobs.task.known_tasks()
print(*{*sys.modules} - loaded)
"""


@pytest.mark.parametrize("kind", ["django", "jinja2"])
def test_a_page_is_made_of_the_templates_that_were_there_at_the_start(
    tmp_path: Path, settings: Settings, kind: str
) -> None:
    settings.TEMPLATES = [
        {**deepcopy(engine), "DIRS": [tmp_path]} for engine in settings.TEMPLATES if kind in engine["BACKEND"]
    ]
    page, part, broken = (tmp_path / name for name in ("page.html", "some/part.html", "broken.html"))
    part.parent.mkdir()
    page.write_text("old {% include 'some/part.html' %}")
    part.write_text("part")
    broken.write_text("{% if %}")
    read_ahead()
    for file in (page, part):
        file.write_text("new")
    assert render_to_string("page.html") == "old part"


def test_a_server_in_production_has_imported_all_that_it_may_need() -> None:
    done = run_program("-c", STARTED, env={**PRODUCTION, "DJANGO_SETTINGS_MODULE": "cnaasjobs.settings"})
    started, with_its_jobs = done.stdout.splitlines()
    loaded = {name for name in started.split() if name.partition(".")[0] in OURS}
    named = {_module(*text.replace(":", ".").rsplit(".", 1)) for text in _texts(vars(cnaasjobs.settings))}
    assert named - loaded == {"jobs.worker.consumer"}
    later = {name: {*_imported_later(name)} - loaded for name in loaded - FOR_WORKERS}
    assert {name: modules for name, modules in later.items() if modules} == {}
    assert with_its_jobs.split() == []


def _texts(value: Any) -> Iterator[str]:
    """What names something of ours in the settings."""
    if isinstance(value, str):
        yield from [value] if re.fullmatch(rf"({'|'.join(OURS)})(\.\w+)+:?\w+", value) else []
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def _imported_later(name: str) -> Iterator[str]:
    """The modules of ours that its functions import."""
    for function in (each for each in ast.walk(_tree(name)) if isinstance(each, ast.FunctionDef)):
        for each in ast.walk(function):
            if isinstance(each, ast.ImportFrom) and str(each.module).partition(".")[0] in OURS:
                yield from (_module(str(each.module), alias.name) for alias in each.names)


def _tree(name: str) -> ast.Module:
    return ast.parse(Path(str(_spec(name).origin)).read_text())


def _module(package: str, name: str) -> str:
    """Which module it is, or is a name of."""
    whole = f"{package}.{name}"
    return whole if _spec(package).submodule_search_locations and find_spec(whole) else package


def _spec(name: str) -> ModuleSpec:
    found = find_spec(name)
    assert found is not None
    return found
