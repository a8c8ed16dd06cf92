"""Secrets are planted wherever one can be, every step fails with them in its message, and none of them is stored."""

import base64
import html
import json
import logging
import traceback
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from celery import current_app
from django.contrib.auth.models import User
from django.test import Client

from cnaasjobs.api.errors import BadRequest
from cnaasjobs.masked_logs import MaskedJsonFormatter
from devices.tasks import sync_devices
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.dispatch import scheduling
from jobs.models import Job, JobApproval
from jobs.states import Status
from jobs.testing import perform_job
from tests import fake_jobs
from tests.devices.conftest import foreign
from tests.devices.foreign import Foreign
from tests.devices.lab import Lab
from tests.factory import job_in
from tests.fake_jobs import canaries
from tests.identity.conftest import login
from tests.identity.issuer import signed
from tests.secrecy.planting import ALL, LOGIN, OPTION, SAID, found_in, nothing_shows, planted, stored

__all__ = ["foreign", "login", "planted"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("planted")]


@pytest.fixture
def browser(planted: Lab) -> Client:
    """Of a superuser, who sees everything."""
    client = Client(headers={"Host": "localhost"})
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_no_secret_of_a_result_or_an_argument_is_shown(browser: Client) -> None:
    perform_job(sync_devices, all=True)  # the inventory is read from here on
    assert perform_job(fake_jobs.echo, value={"deep": [SAID]}).status == "FINISHED"
    assert perform_job(canaries.return_canaries).status == "FINISHED"
    nothing_shows(browser)


def test_no_secret_in_what_a_body_raises_is_shown(browser: Client) -> None:
    perform_job(sync_devices, all=True)
    for kind in ("message", "lines", "bytes", "chained", "group", "cancelled", "interrupted"):
        job = perform_job(canaries.raise_canaries, kind=kind)
        assert job.status == "EXCEPTION"
    nothing_shows(browser)


def test_no_secret_in_what_a_job_logs_is_shown(browser: Client) -> None:
    perform_job(sync_devices, all=True)
    job = perform_job(canaries.log_canaries)
    assert job.status == "FINISHED"
    assert job.log.get().lines == 2
    nothing_shows(browser)


STEPS = ("open", "load_replace_candidate", "compare_config", "get_config", "has_pending_commit")
STEPS_OF_COMMIT = ("commit_config", "confirm_commit", "rollback", "discard_config", "close")
DRIVER = """
import os

def _raises(name, original):
    def method(self, *args, **options):
        if os.environ.get("FAILING_STEP") == name:
            said = os.environ["CANARIES"]
            kind = os.environ["FAILING_KIND"]
            if kind == "lines":
                raise RuntimeError("\\n\\n".join(said.split(" | ")))
            if kind == "bytes":
                raise CommandErrorException(said.encode(), {"sent": [said]})
            try:
                raise KeyError(said)
            except KeyError as exc:
                raise ConnectionException("it failed: %r" % exc) from exc
        return original(self, *args, **options)
    return method

for _name in STEPS:
    setattr(ForeignDriver, _name, _raises(_name, getattr(ForeignDriver, _name)))
"""


@pytest.mark.parametrize("kind", ["lines", "bytes", "chained"])
def test_no_secret_in_what_a_driver_raises_in_any_step_is_shown(
    planted: Lab, browser: Client, foreign: Foreign, kind: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    foreign.install("napalm_canary", DRIVER.replace("STEPS", repr((*STEPS, *STEPS_OF_COMMIT))))
    planted.hosts["sw1"]["platform"] = "canary"
    planted.template("hostname x\n{{ TEMPLATE_SECRET_X }}\n", platform="canary")
    planted.write()
    monkeypatch.setenv("FAILING_KIND", kind)
    for step in (*STEPS, *STEPS_OF_COMMIT):
        monkeypatch.setenv("FAILING_STEP", step)
        for options in (
            {"dry_run": True},
            {"dry_run": False, "confirm_mode": 1},
            {"dry_run": False, "confirm_mode": 2},
        ):
            perform_job(sync_devices, all=True, force=True, resync=True, **options)
    assert "it failed" in stored() or kind != "chained"
    nothing_shows(browser)


TEMPLATES = [
    "{{ TEMPLATE_SECRET_X | list | nosuchfilter }}",
    "{{ {}[TEMPLATE_SECRET_X].x }}",
    "{% include TEMPLATE_SECRET_X %}",
    "{{ enable_password | int(default=enable_password) + 1 }}",
    "{{ (TEMPLATE_SECRET_X ~ enable_password).nosuchattribute.x }}",
    "{% if %}{{ TEMPLATE_SECRET_X }}",
    "{{ '%d' % TEMPLATE_SECRET_X }}",
]


def test_no_secret_in_what_a_template_fails_with_is_shown(planted: Lab, browser: Client) -> None:
    for text in TEMPLATES:
        planted.template(f"hostname x\n{text}\n")
        perform_job(sync_devices, all=True)
    nothing_shows(browser)


def test_no_secret_of_an_inventory_that_can_not_be_read_is_shown(planted: Lab, browser: Client) -> None:
    """YAML's own errors quote the line that they are about."""
    perform_job(sync_devices, all=True)
    for file in ("hosts.yml", "groups.yml", "defaults.yml", "config.yml"):
        good = (planted.directory / file).read_text()
        for wrong in ('\nsw9: {password: "%s"', "\nsw9: {password: !%s}", "\nsw9:\n  password: *%s\n", "\nsw9: [%s"):
            (planted.directory / file).write_text(good + wrong % LOGIN.replace('"', ""))
            answer = browser.post("/api/v1.0/device_syncto", {"all": True}, content_type="application/json")
            assert found_in(answer.content.decode()) == []
            perform_job(sync_devices, all=True)
        (planted.directory / file).write_text(good)
    nothing_shows(browser)


@pytest.mark.parametrize("change", ["another password", "unreadable"])
def test_the_passwords_of_before_are_masked_too(planted: Lab, browser: Client, change: str) -> None:
    """A running job began with them."""
    perform_job(sync_devices, all=True)
    planted.hosts["sw1"]["password"] = "entirely-different"
    planted.write()
    if change == "unreadable":
        planted.config.write_text("inventory: [")
    perform_job(sync_devices, all=True)
    assert perform_job(fake_jobs.echo, value=SAID).status == "FINISHED"
    nothing_shows(browser)


@pytest.mark.parametrize("fail", [False, True])
def test_no_secret_in_a_plain_tasks_result_or_arguments_is_shown(browser: Client, fail: bool) -> None:
    """Celery's own backend keeps its result, its traceback and its arguments."""
    perform_job(sync_devices, all=True)
    task = current_app.tasks["tests.fake_jobs.canaries.plain_canaries"]
    task.apply(args=[SAID], kwargs={"fail": fail})
    task.backend.store_result("1-2-3", {"said": SAID}, "SUCCESS", request=None)
    nothing_shows(browser)


def test_no_secret_in_a_configuration_its_diff_or_what_devices_say_is_shown(planted: Lab, browser: Client) -> None:
    lines = "\n".join(SAID.split(" | "))
    planted.template(f"hostname x\n{{{{ TEMPLATE_SECRET_X }}}}\n{{% raw %}}{lines}{{% endraw %}}\n")
    for dry_run in (True, False):
        job = perform_job(sync_devices, all=True, dry_run=dry_run)
        assert job.status == "FINISHED"
        nothing_shows(browser)
    for step in ("open", "load", "commit"):
        planted.options("sw1", secret=OPTION, fail=step)
        planted.template(f"hostname {step}\n")
        perform_job(sync_devices, all=True, dry_run=False)
    nothing_shows(browser)


def test_no_secret_in_the_audit_trail_an_error_or_a_log_line_is_shown(browser: Client) -> None:
    perform_job(sync_devices, all=True)
    trail.add(Deed.SCHEDULED, who="ann", origin="x", detail=SAID)
    nothing_shows(browser)
    formatter = MaskedJsonFormatter("%(message)s")
    try:
        raise BadRequest(SAID) from ValueError(SAID)
    except BadRequest as exc:
        record = logging.LogRecord(
            "any", logging.ERROR, __file__, 1, "%s", (SAID,), (type(exc), exc, exc.__traceback__)
        )
        record.trace = traceback.format_exc()
        record.nested = {"deep": [SAID]}
    line = formatter.format(record)
    assert found_in(line) == []
    json.loads(line)
    refused = Client(headers={"Host": "localhost"}).post(
        "/api/v1.0/device_syncto", {"hostname": LOGIN}, content_type="application/json"
    )
    assert refused.status_code == 400
    assert found_in(refused.json()["message"]) == []


def test_no_secret_that_people_type_is_shown(browser: Client) -> None:
    """Comments, tickets and reasons, of each secret: where it is started, run again, stopped, approved and rejected."""
    perform_job(sync_devices, all=True)
    running = job_in(Status.RUNNING)
    Job.objects.filter(pk=running.pk).update(scheduled_by="boss")
    for secret in ALL:
        said = {"comment": f"see {secret}", "start_at": "2099-01-01 00:00:00"}
        ticket = {"ticket_ref": secret} if len(secret) <= 32 else {}
        posted = browser.post(
            "/api/v1.0/device_syncto", {"all": True, **said, **ticket}, content_type="application/json"
        )
        assert posted.status_code == 200, posted.content
        browser.post("/jobs/abort", {"ids": str(posted.json()["job_id"]), "reason": f"because of {secret}"})
        again = browser.post(f"/jobs/{posted.json()['job_id']}/run/again", {"comment": f"as {secret}"})
        assert again.status_code == 302
        for word in ("approve", "reject"):
            waiting = scheduling.schedule(fake_jobs.guarded, {}, scheduled_by="somebody", comment=secret)
            browser.post(f"/jobs/{waiting.pk}/approve", {word: "1", "comment": f"it is {secret}"})
            assert JobApproval.objects.get(pk=waiting.pk).verdict != ""
    browser.post("/jobs/abort", {"ids": str(running.pk), "reason": f"because of {SAID}"[:255]})
    running.refresh_from_db()
    assert running.abort_reason
    nothing_shows(browser)


@pytest.mark.usefixtures("login")
def test_no_secret_in_credentials_that_are_refused_is_shown(browser: Client, caplog: Any, settings: Any) -> None:
    """What is wrong in credentials is said to nobody, and kept nowhere."""
    perform_job(sync_devices, all=True)
    stranger = Client(headers={"Host": "localhost"})
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    for secret in ALL[:5]:
        basic = base64.b64encode(f"{secret}:{secret}".encode()).decode()
        answers = [
            stranger.post("/api/v1.0/auth", headers={"Authorization": f"Basic {basic}"}),
            stranger.post("/sign-in", {"username": secret, "password": secret}),
            stranger.get("/api/v1.0/jobs", headers={"Authorization": f"Bearer {quote(secret)}"}),
            stranger.get("/api/v1.0/jobs", headers={"Authorization": f"Bearer {signed(sub=secret)}"}),
            stranger.get(f"/sign-in/provider/back?{urlencode({'code': secret, 'state': secret, 'error': secret})}"),
        ]
        for answer in answers:
            assert answer.status_code in (200, 401, 404)
            assert found_in(answer.content.decode().replace(html.escape(secret), "")) == [], "only what was typed"
    assert found_in(stored()) == []
    assert found_in(masked(caplog)) == []


def masked(caplog: Any) -> str:
    """The log, as it is written."""
    formatter = MaskedJsonFormatter("%(message)s")
    return "\n".join(map(formatter.format, caplog.records))


def test_no_credential_of_the_settings_is_stored(settings: Any) -> None:
    settings.SECRET_KEY = "Canary-key-0123456789"
    settings.CELERY_BROKER_URL = "amqp://user:Canary%2Fbroker@mq//;amqp://user:Canary-second@mq//"
    said = "Canary-key-0123456789 Canary%2Fbroker Canary/broker Canary-second"
    job = perform_job(fake_jobs.echo, value=said)
    assert job.status == "FINISHED"
    assert "anary" not in stored()
