"""Each action is documented, and nothing is logged except by ``record``."""

import importlib
import logging
import re
from pathlib import Path

import pytest

from cnaasjobs.events import Action
from jobs.actions import JobAction
from jobs.states import TRANSITIONS, Verb

ROOT = Path(__file__).parents[2]
PRODUCT = ("cnaasjobs", "locks", "jobs", "devices")


def _modules(pattern: str) -> list[Path]:
    return [path for room in PRODUCT for path in (ROOT / room).rglob(pattern)]


def _actions() -> list[Action]:
    for path in _modules("actions.py"):
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    ours = [each for each in Action.__subclasses__() if each.__module__.partition(".")[0] in PRODUCT]
    return [action for vocabulary in ours for action in vocabulary]


def _documented() -> dict[str, tuple[str, set[str]]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|(.*?)\| .+ \|$", (ROOT / "docs/log-events.md").read_text(), re.MULTILINE)
    return {name: (level, set(re.findall(r"`(\w+)`", fields))) for name, level, fields in rows}


def test_the_docs_list_every_action_with_its_level_and_fields() -> None:
    assert _documented() == {
        action.value: (logging.getLevelName(action.level), set(action.fields)) for action in _actions()
    }


def test_no_two_actions_have_one_name() -> None:
    names = [action.value for action in _actions()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("verb", TRANSITIONS)
def test_the_line_of_a_transition_says_of_which_job_from_where_and_to_where(verb: Verb) -> None:
    assert {"job_id", "from", "to"} <= set(JobAction[verb.name].fields)


def test_no_field_is_one_of_a_log_records_own() -> None:
    taken = {*vars(logging.makeLogRecord({})), "message", "asctime", "time", "level", "logger", "action"}
    assert [(action, taken & set(action.fields)) for action in _actions() if taken & set(action.fields)] == []


def test_there_is_one_way_to_the_log() -> None:
    loggers = [path for path in _modules("*.py") if "logging.getLogger" in path.read_text()]
    assert loggers == [ROOT / "cnaasjobs/events.py"]
