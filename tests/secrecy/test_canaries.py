"""Secrets are planted wherever one can be, every step fails with them in its message, and none of them is stored."""

import base64
import json
import logging
import traceback
import urllib.parse
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from cnaasjobs.api.errors import BadRequest
from cnaasjobs.masked_logs import MaskedJsonFormatter
from devices.tasks import sync_devices
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.models import Job
from jobs.testing import perform_job
from tests import fake_jobs
from tests.devices.lab import Lab
from tests.fake_jobs import canaries

pytestmark = pytest.mark.django_db(transaction=True)

TEMPLATE, FORMER, LOGIN, OPTION, GROUP, DATA = (
    f"Canary-{name}-é\"'&<9/" for name in ("template", "former", "login", "option", "group", "data")
)
ALL = (TEMPLATE, FORMER, LOGIN, OPTION, GROUP, DATA)


def forms(secret: str) -> list[str]:
    """As it may be written down."""
    return [
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        urllib.parse.quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        secret.upper(),
        secret.encode().hex(),
        repr(secret.encode())[2:-1],
        json.dumps(json.dumps(secret))[3:-3],
        repr(repr(secret))[2:-2],
    ]


SAID = " | ".join(form for secret in ALL for form in forms(secret))


@pytest.fixture(autouse=True)
def planted(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("TEMPLATE_SECRET_X", TEMPLATE)
    monkeypatch.setenv("FORMER_TEMPLATE_SECRET_X_2", FORMER)
    monkeypatch.setenv("CANARIES", SAID)
    lab.add("sw1", secret=OPTION)
    lab.hosts["sw1"]["password"] = LOGIN
    lab.groups["access"]["password"] = GROUP
    lab.change("sw1", enable_password=DATA)
    return lab


def found_in(text: str) -> list[str]:
    return [secret for secret in ALL for form in forms(secret) if form.lower() in text.lower()]


def stored() -> str:
    """Every text of every table of ours."""
    rows = [
        values
        for model in apps.get_models()
        if model._meta.app_label in ("jobs", "locks", "devices", "django_celery_results")
        for values in model._default_manager.values_list()
    ]
    return "\n".join(str(value) for row in rows for value in row)


def nothing_shows() -> None:
    assert found_in(stored()) == []
    client = Client(headers={"Host": "localhost"})
    for path in ("jobs", *(f"job/{pk}" for pk in Job.objects.values_list("pk", flat=True)), "joblocks"):
        answer = client.get(f"/api/v1.0/{path}")
        content = b"".join(answer) if answer.streaming else answer.content
        assert found_in(content.decode()) == []
        assert found_in(json.dumps(json.loads(content), ensure_ascii=False)) == []


def test_a_result_and_arguments(planted: Lab) -> None:
    perform_job(sync_devices, all=True)  # the inventory is read from here on
    assert perform_job(fake_jobs.echo, value={"deep": [SAID]}).status == "FINISHED"
    assert perform_job(canaries.return_canaries).status == "FINISHED"
    nothing_shows()


@pytest.mark.parametrize("kind", ["message", "lines", "bytes", "chained", "group", "cancelled", "interrupted"])
def test_whatever_a_body_raises(planted: Lab, kind: str) -> None:
    perform_job(sync_devices, all=True)
    job = perform_job(canaries.raise_canaries, kind=kind)
    assert job.status == "EXCEPTION"
    nothing_shows()


def test_a_configuration_its_diff_and_what_devices_say(planted: Lab) -> None:
    lines = "\n".join(SAID.split(" | "))
    planted.template(f"hostname x\n{{{{ TEMPLATE_SECRET_X }}}}\n{{% raw %}}{lines}{{% endraw %}}\n")
    for dry_run in (True, False):
        job = perform_job(sync_devices, all=True, dry_run=dry_run)
        assert job.status == "FINISHED"
        nothing_shows()
    for step in ("open", "load", "commit"):
        planted.options("sw1", secret=OPTION, fail=step)
        planted.template(f"hostname {step}\n")
        perform_job(sync_devices, all=True, dry_run=False)
        nothing_shows()


def test_the_audit_trail_an_error_and_a_log_line(planted: Lab) -> None:
    perform_job(sync_devices, all=True)
    trail.add(Deed.SCHEDULED, who="ann", origin="x", detail=SAID)
    nothing_shows()
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


def test_credentials_of_the_settings(settings: Any) -> None:
    settings.SECRET_KEY = "Canary-key-0123456789"
    settings.CELERY_BROKER_URL = "amqp://user:Canary%2Fbroker@mq//;amqp://user:Canary-second@mq//"
    said = "Canary-key-0123456789 Canary%2Fbroker Canary/broker Canary-second"
    job = perform_job(fake_jobs.echo, value=said)
    assert job.status == "FINISHED"
    assert "anary" not in stored()
