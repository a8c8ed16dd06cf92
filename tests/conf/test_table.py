"""The table of variables: read from the environment, shown in the docs, and the one place that knows them."""

import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from cnaasjobs.conf import Conf, Start, WrongSettings, conf, from_environment
from cnaasjobs.conf.variables import Number
from tests.services.program import run_program

ROOT = Path(__file__).resolve().parents[2]
DEV = {"CNAASJOBS_DEV": "1"}
PRODUCTION = {
    "SECRET_KEY": "0123456789abcdefghij" * 3,
    "DATABASE_URL": "postgres://u:p@db/jobs",
    "CELERY_BROKER_URL": "amqp://u:p@mq//",
    "ALLOWED_HOSTS": "jobs.example.org",
}


def refused(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(WrongSettings) as caught:
        from_environment(environ)
    return str(caught.value).splitlines()


def test_the_documentation_shows_each_variable_as_it_is() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    documented = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [
        f"| `{variable.name}` | {variable.shown} | {variable.allowed} | {variable.means} |"
        for table in (Start, Conf)
        for variable in table.variables()
    ]
    assert sorted(documented) == sorted(rows)


def test_nothing_else_knows_their_names() -> None:
    """Code that needs a value asks ``conf``: another way to it would have its own type and default."""
    elsewhere = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in ("cnaasjobs", "jobs", "locks", "devices")
        for path in (ROOT / room).rglob("*.py")
        if path.parent.name not in ("conf", "run") and path.name != "settings.py"
        for line in path.read_text().splitlines()
        if re.search(r"settings\.(CNAASJOBS_|NORNIR_)|environ.*CNAASJOBS_", line)
    ]
    assert elsewhere == []


def test_a_value_follows_what_a_test_sets(settings: Settings) -> None:
    settings.CNAASJOBS_HEARTBEAT_SECONDS = 7.5
    assert conf.heartbeat_seconds == 7.5


def test_the_defaults_are_those_that_the_table_shows() -> None:
    _, values = from_environment(DEV)
    assert values == {variable.name: variable.default for variable in Conf.variables()} | {"CNAASJOBS_DEV": True}


def test_each_default_is_allowed() -> None:
    wrong = {v.name: v.wrong(v.default) for table in (Start, Conf) for v in table.variables()}
    assert {name: problem for name, problem in wrong.items() if problem} == {}


def test_the_bounds_of_a_number_are_finite_and_allowed() -> None:
    numbers = [v for table in (Start, Conf) for v in table.variables() if isinstance(v, Number)]
    assert {v.name: (v.low, v.high) for v in numbers if v.wrong(v.low) or v.wrong(v.high)} == {}
    assert all(math.isfinite(v.low) and math.isfinite(v.high) for v in numbers)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("CNAASJOBS_REQUIRE_TOKEN", "Yes", True),
        ("CNAASJOBS_REQUIRE_TOKEN", "OFF", False),
        ("CNAASJOBS_DEV", " 1 ", True),
        ("CNAASJOBS_TRUSTED_PROXIES", " , 10.0.0.5 ,", ["10.0.0.5"]),
    ],
)
def test_a_value_may_be_written_in_other_ways(name: str, text: str, value: object) -> None:
    _, values = from_environment(DEV | {name: text})
    assert values[name] == value


def test_a_level_may_be_in_small_letters() -> None:
    start, _ = from_environment(DEV | {"CNAASJOBS_LOG_LEVEL": "debug"})
    assert start.log_level == "DEBUG"


def test_production_names_all_that_is_missing_at_once() -> None:
    assert refused({}) == [
        f"{name} is missing: production has no default for it"
        for name in ("SECRET_KEY", "DATABASE_URL", "CELERY_BROKER_URL", "ALLOWED_HOSTS")
    ]
    assert refused(PRODUCTION | {"SECRET_KEY": " "}) == ["SECRET_KEY is missing: production has no default for it"]
    from_environment(PRODUCTION)


@pytest.mark.parametrize("text", ["abc", "nan", "inf", "-inf", "-1", "0", "61", "1,5", "2s"])
def test_a_number_out_of_its_bounds_is_one_line(text: str) -> None:
    (line,) = refused(DEV | {"CNAASJOBS_HEARTBEAT_SECONDS": text})
    assert line.startswith("CNAASJOBS_HEARTBEAT_SECONDS must be a number from 0.01 to 60, not ")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("CNAASJOBS_CONFIRM_MODE", "1.5", "must be a whole number from 0 to 2, not '1.5'"),
        ("CNAASJOBS_CONFIRM_MINUTES", "121", "must be a whole number from 1 to 120, not 121"),
        ("CNAASJOBS_RETENTION_FINISHED_DAYS", "never", "must be a number from 0.001 to 36500, not 'never'"),
        ("CNAASJOBS_RETENTION_EXCEPTION_DAYS", "0", "must be a number from 0.001 to 36500, not 0.0"),
        ("CNAASJOBS_DEV", "perhaps", "must be 0 or 1, not 'perhaps'"),
        ("CNAASJOBS_REQUIRE_TOKEN", "2", "must be 0 or 1, not '2'"),
        ("CNAASJOBS_LOG_LEVEL", "LOUD", "must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not 'LOUD'"),
        ("CNAASJOBS_WEB_WORKERS", "many", "must be a whole number from 1 to 256, not 'many'"),
        ("CNAASJOBS_APPS", "no_such_app", "must name Django apps that can be imported, and 'no_such_app' can't"),
        ("CNAASJOBS_LINES_LEFT_OUT", "ntp clock-period", 'must be JSON such as {"ios": "^ntp clock-period "}, not'),
        ("CNAASJOBS_LINES_LEFT_OUT", '{"ios": "("}', 'must be JSON such as {"ios": "^ntp clock-period "}, not'),
        ("CNAASJOBS_LINES_LEFT_OUT", '["ios"]', 'must be JSON such as {"ios": "^ntp clock-period "}, not'),
        ("CNAASJOBS_LINES_LEFT_OUT", '{"ios": 5}', 'must be JSON such as {"ios": "^ntp clock-period "}, not'),
        ("CNAASJOBS_TRUSTED_PROXIES", "10.0.0.5, nginx", "must be addresses or networks"),
    ],
)
def test_what_is_not_allowed_is_named(name: str, text: str, words: str) -> None:
    (line,) = refused(PRODUCTION | {name: text})
    assert line.startswith(f"{name} {words}")


def test_lines_to_leave_out_are_a_regular_expression_for_each_platform() -> None:
    _, values = from_environment(DEV | {"CNAASJOBS_LINES_LEFT_OUT": '{"ios": "^ntp clock-period ", "panos": "phash"}'})
    left_out = values["CNAASJOBS_LINES_LEFT_OUT"]
    assert {name: pattern.pattern for name, pattern in left_out.items()} == {
        "ios": "^ntp clock-period ",
        "panos": "phash",
    }


def test_an_empty_variable_is_an_unset_one() -> None:
    names = [variable.name for table in (Start, Conf) for variable in table.variables()]
    _, empty = from_environment(dict.fromkeys(names, " ") | DEV)
    _, unset = from_environment(DEV)
    assert empty == unset


def test_every_wrong_value_is_named_by_manage_py_without_a_traceback() -> None:
    wrong = {"CNAASJOBS_HEARTBEAT_SECONDS": "abc", "CNAASJOBS_UPKEEP_SECONDS": "nan", "ALLOWED_HOSTS": ""}
    done = run_program("manage.py", "check", env={"PATH": os.environ["PATH"], **PRODUCTION, **wrong})
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "ALLOWED_HOSTS is missing: production has no default for it",
        "CNAASJOBS_HEARTBEAT_SECONDS must be a number from 0.01 to 60, not 'abc'",
        "CNAASJOBS_UPKEEP_SECONDS must be a number from 0.01 to 600, not nan",
    ]


def messages() -> list[str]:
    return [message.msg for message in run_checks()]


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "2", None])
def test_a_value_from_another_settings_module_is_checked_too(settings: Settings, value: object) -> None:
    settings.CNAASJOBS_HEARTBEAT_SECONDS = value
    assert f"CNAASJOBS_HEARTBEAT_SECONDS must be a number from 0.01 to 60, not {value}" in messages()


def test_a_list_from_another_settings_module_is_checked_too(settings: Settings) -> None:
    settings.CNAASJOBS_TRUSTED_PROXIES = ["10.0.0.5", "nginx"]
    (message,) = messages()
    assert message.startswith("CNAASJOBS_TRUSTED_PROXIES must be addresses or networks")


@pytest.mark.parametrize("name", ["CNAASJOBS_HEARTBEAT_SECONDS", "CNAASJOBS_UPKEEP_SECONDS"])
def test_no_live_worker_may_look_lost(settings: Settings, name: str) -> None:
    settings.CNAASJOBS_WORKER_LOST_SECONDS = 30.0
    setattr(settings, name, 10.1)
    assert messages() == [
        f"CNAASJOBS_WORKER_LOST_SECONDS must be at least three times {name}, or a live worker looks lost"
    ]
    setattr(settings, name, 10.0)
    assert messages() == []


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        (DEV, "kept by make run"),
        ({**DEV, "SECRET_KEY": "given"}, "given"),
        (PRODUCTION, PRODUCTION["SECRET_KEY"]),
    ],
)
def test_a_command_beside_make_run_has_its_key(tmp_path: Path, environ: dict[str, str], key: str) -> None:
    (tmp_path / "secret-key").write_text("kept by make run\n")
    env = {"PATH": os.environ["PATH"], "CNAASJOBS_STATE_DIR": str(tmp_path), **environ}
    program = [sys.executable, "-c", "from cnaasjobs import settings; print(settings.SECRET_KEY)"]
    done = subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == key
