"""Worker, Beat, web and ``make run`` start only with good settings; errors are single lines, not tracebacks."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from pytest_django import Settings

from cnaasjobs.checks import jobs_can_be_imported
from cnaasjobs.startup import problems
from devices.tasks import sync_devices
from jobs import follow_ups, result_views
from jobs.models import Job
from jobs.rights import selected
from tests.conf.test_table import PRODUCTION
from tests.services.program import Done, run_program

CELERY = ("-m", "celery", "-A", "cnaasjobs")
STARTED = {
    "worker": (*CELERY, "worker"),
    "beat": (*CELERY, "beat", "--pidfile="),
    "web": ("-m", "gunicorn", "cnaasjobs.wsgi", "--bind", "127.0.0.1:0"),
}
MISSING = "is missing: production has no default for it"


def started(command: tuple[str, ...], environ: Mapping[str, str]) -> Done:
    return run_program(*command, env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ})


@pytest.mark.parametrize("who", STARTED)
def test_all_that_is_missing_or_wrong_is_named_at_once(who: str) -> None:
    done = started(STARTED[who], {"SECRET_KEY": "x", "CNAASJOBS_HEARTBEAT_SECONDS": "inf"})
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"DATABASE_URL {MISSING}",
        f"CELERY_BROKER_URL {MISSING}",
        f"ALLOWED_HOSTS {MISSING}",
        "CNAASJOBS_HEARTBEAT_SECONDS must be a number from 0.01 to 60, not inf",
    ]


@pytest.mark.parametrize("who", STARTED)
def test_settings_that_contradict_each_other_are_named(who: str, tmp_path: Path) -> None:
    development = {"CNAASJOBS_DEV": "1", "CNAASJOBS_STATE_DIR": str(tmp_path), "CNAASJOBS_LOG_LEVEL": "CRITICAL"}
    done = started(STARTED[who], {**development, "CNAASJOBS_HEARTBEAT_SECONDS": "11"})
    assert done.returncode == 1
    words = "must be at least three times CNAASJOBS_HEARTBEAT_SECONDS, or a live worker looks lost"
    assert done.stderr.splitlines() == [f"CNAASJOBS_WORKER_LOST_SECONDS {words}"]


def test_make_run_names_them_before_it_starts_anything(tmp_path: Path) -> None:
    wrong = {"CNAASJOBS_UPKEEP_SECONDS": "soon", "ALLOWED_HOSTS": "http://a", "CNAASJOBS_REQUIRE_TOKEN": "maybe"}
    done = started(("-m", "cnaasjobs.run"), {"PORT": "0", "CNAASJOBS_STATE_DIR": str(tmp_path / "state"), **wrong})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "ALLOWED_HOSTS must be host names without scheme, port and path, not 'http://a'",
        "CNAASJOBS_REQUIRE_TOKEN must be 0 or 1, not 'maybe'",
        "CNAASJOBS_UPKEEP_SECONDS must be a number from 0.01 to 600, not 'soon'",
    ]


@pytest.fixture
def own_jobs(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """The environment of an app with this text as its ``tasks.py``."""

    def made(text: str) -> dict[str, str]:
        (tmp_path / "ours").mkdir()
        (tmp_path / "ours" / "__init__.py").touch()
        (tmp_path / "ours" / "tasks.py").write_text(text)
        state = {"CNAASJOBS_STATE_DIR": str(tmp_path / "state"), "PORT": "0", "CNAASJOBS_FIRST_RUN": "0"}
        return {"PYTHONPATH": str(tmp_path), "CNAASJOBS_APPS": "ours", **state}

    return made


IMPORTING = {**STARTED, "make run": ("-m", "cnaasjobs.run"), "a command": ("manage.py", "jobs", "start", "act")}


@pytest.mark.parametrize("who", IMPORTING)
def test_the_job_that_cannot_be_imported_is_named(
    who: str, own_jobs: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    misspelt = "from jobs.task import job\n\n@job(lck='devices')\ndef act(ctx): ...\n"
    # A worker and a Beat also log Celery's traceback; whoever types a command sees the line alone.
    development = {"CNAASJOBS_DEV": "1", "CNAASJOBS_LOG_LEVEL": "ERROR" if who == "a command" else "CRITICAL"}
    done = started(IMPORTING[who], own_jobs(misspelt) | development)
    assert done.returncode == 1
    why = "TypeError: @job: there is no option lck, did you mean lock?"
    assert done.stderr.splitlines() == [
        f"ours.tasks can't be imported: {why}, in {tmp_path / 'ours' / 'tasks.py'}, line 3"
    ]


def test_what_an_app_registers_for_a_job_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jobs_can_be_imported(None) == []
    for known in (result_views._views, follow_ups._known, selected._selects):
        monkeypatch.setitem(known, "devices.tasks.sync_device", None)
    assert [(message.id, message.msg.partition(" ")[0], message.hint) for message in jobs_can_be_imported(None)] == [
        ("cnaasjobs.W008", module, "did you mean devices.tasks.sync_devices?")
        for module in ("jobs.result_views", "jobs.follow_ups", "jobs.rights.selected")
    ]


@pytest.mark.django_db
def test_a_permission_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_devices, "permission", "jobs.add_jobs")
    (found,) = jobs_can_be_imported(None)
    words = "devices.tasks.sync_devices can be started by superusers alone: there is no permission jobs.add_jobs"
    assert (found.id, found.msg, found.hint) == ("cnaasjobs.W009", words, "did you mean jobs.add_job?")
    kind = ContentType.objects.get_for_model(Job)
    Permission.objects.create(content_type=kind, codename="add_jobs", name="made in a migration")
    assert jobs_can_be_imported(None) == []


GOOD = PRODUCTION | {"CELERY_BROKER_URL": "amqps://u:p@mq//", "DJANGO_SETTINGS_MODULE": "cnaasjobs.settings"}


@pytest.mark.django_db
def test_what_is_unwise_is_a_line_in_the_log_of_production(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert problems() == []
    assert caplog.messages == []
    settings.CNAASJOBS_DEV = False
    settings.CELERY_BROKER_URL = "amqp://u:hunter2@mq//"
    assert problems() == []
    named = {message.partition(":")[0] for message in caplog.messages}
    assert {"ALLOWED_HOSTS has *", "CELERY_BROKER_URL (broker 1) is reached without TLS"} <= named
    assert any("SECRET_KEY has less than 50 characters" in message for message in caplog.messages)
    assert [message for message in caplog.messages if "\n" in message or "hunter2" in message] == []


def deploy_check(environ: Mapping[str, str]) -> str:
    command = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = started(command, environ)
    assert done.returncode == ("identified some issues" in done.stderr)
    return done.stderr


def test_check_deploy_is_content_with_good_settings() -> None:
    assert "identified some issues" not in deploy_check(GOOD)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SECRET_KEY", "secret", "Your SECRET_KEY has less than 50 characters"),
        ("ALLOWED_HOSTS", "jobs.example.org,*", "ALLOWED_HOSTS has *"),
        ("CELERY_BROKER_URL", "amqps://guest:guest@mq//", "logs in as guest with the password guest"),
        ("CELERY_BROKER_URL", "amqps://mq//", "logs in as guest with the password guest"),
        ("CELERY_BROKER_URL", "amqps://u:p@a//;amqps://mq//", "(broker 2) logs in as guest with the password guest"),
        ("CELERY_BROKER_URL", "amqp://u:hunter2@mq//", "is reached without TLS"),
        ("CELERY_BROKER_URL", "redis://:hunter2@10.0.0.9/0", "is reached without TLS"),
        ("CELERY_BROKER_URL", "amqp://u:hunter2@localhost.example.org//", "is reached without TLS"),
        ("CELERY_BROKER_URL", "amqp://u:hunter2@127.example.org//", "is reached without TLS"),
        ("CELERY_BROKER_URL", "rediss://10.0.0.9/0", "requires no password"),
        ("CNAASJOBS_QUORUM_QUEUES", "1", "quorum queues have no priorities before RabbitMQ 4.0"),
    ],
)
def test_check_deploy_names_what_is_unwise(name: str, value: str, words: str) -> None:
    said = deploy_check({**GOOD, name: value})
    assert "System check identified 1 issue" in said
    assert words in said
    assert "hunter2" not in said


def test_check_deploy_says_if_the_broker_has_no_quorum_queues() -> None:
    said = deploy_check({**GOOD, "CNAASJOBS_QUORUM_QUEUES": "1", "CELERY_BROKER_URL": "redis://localhost/0"})
    assert "CNAASJOBS_QUORUM_QUEUES is 1, and the broker is a Redis" in said


@pytest.mark.parametrize("url", ["amqp://u:p@localhost//", "amqp://u:p@127.0.0.1:5673//", "redis://[::1]/0"])
def test_a_broker_on_this_machine_needs_no_tls(url: str) -> None:
    assert "identified some issues" not in deploy_check({**GOOD, "CELERY_BROKER_URL": url})


@pytest.mark.parametrize("options", [("--deploy",), ()])
def test_check_names_the_job_that_cannot_be_imported(
    options: tuple[str, ...], own_jobs: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    done = started(("manage.py", "check", *options), GOOD | own_jobs("def (\n"))
    assert done.returncode == 1
    assert f"SyntaxError: invalid syntax (tasks.py, line 1), in {tmp_path / 'ours' / 'tasks.py'}" in done.stderr
