"""Canaries: secrets in every place where one can be, and a search for them wherever something may be kept or shown."""

import base64
import html
import json
import urllib.parse
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from jobs.models import Job
from tests.devices.lab import Lab

TEMPLATE, FORMER, LOGIN, OPTION, GROUP, DEFAULT, CONNECTION, DATA, KEY, BROKER = (
    f"Canary-{name}-é\"'&<9/"
    for name in (
        *("template", "former", "login", "option", "group", "default", "connection", "data"),
        *("key-of-the-settings", "broker"),
    )
)
ALL = (TEMPLATE, FORMER, LOGIN, OPTION, GROUP, DEFAULT, CONNECTION, DATA, KEY, BROKER)
MARK = "canary-"  # of each: a value that is masked in part shows too


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
        repr(repr(secret.encode()))[3:-2],
        json.dumps(json.dumps(secret))[3:-3],
        repr(repr(secret))[2:-2],
        html.escape(secret),
    ]


_FORMS = [(form.lower(), secret) for secret in ALL for form in forms(secret)]
SAID = " | ".join(form for secret in ALL for form in forms(secret))


@pytest.fixture
def planted(lab: Lab, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Lab:
    monkeypatch.setenv("TEMPLATE_SECRET_X", TEMPLATE)
    monkeypatch.setenv("FORMER_TEMPLATE_SECRET_X_2", FORMER)
    monkeypatch.setenv("CANARIES", SAID)
    settings.SECRET_KEY = KEY
    settings.CELERY_BROKER_URL = f"amqp://user:{urllib.parse.quote(BROKER, safe='')}@nowhere//"
    lab.add("sw1", secret=OPTION)
    lab.hosts["sw1"]["password"] = LOGIN
    lab.hosts["sw1"]["connection_options"]["netconf"] = {"password": CONNECTION}
    lab.groups["access"]["password"] = GROUP
    lab.defaults["password"] = DEFAULT
    lab.change("sw1", enable_password=DATA)
    return lab


def found_in(text: str) -> list[str]:
    lower = text.lower()
    found = sorted({secret for form, secret in _FORMS if form in lower})
    return found or ([lower[max(0, lower.index(MARK) - 80) :][:200]] if MARK in lower else [])


def stored() -> str:
    """Every text of every table."""
    rows = [row for model in apps.get_models() for row in model._default_manager.values_list()]
    return "\n".join(str(value) for row in rows for value in row)


def pages() -> list[str]:
    """Of the API and of the admin: every list, and every row of it."""
    jobs = [*Job.objects.values_list("pk", flat=True)]
    api = ["jobs", "joblocks", "locks", "devices", "device/sw1", "device/sw1/jobs", "device_synchistory", "groups"]
    api += ["mgmtdomains", "settings/server", "auth/permissions", "system/version", "repository/settings"]
    api += [f"job/{pk}{part}" for pk in jobs for part in ("", "/log", "/devices", "/devices/sw1?report=1", "/waiting")]
    sites = ["/admin/"]
    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        rows = [*model._default_manager.values_list("pk", flat=True)[:100]]
        sites += [path, *(f"{path}{pk}/{page}/" for pk in rows for page in ("change", "history"))]
    return [*(f"/api/v1.0/{path}" for path in api), *sites]


def nothing_shows(browser: Client) -> None:
    assert not (found := found_in(stored())), found
    for path in pages():
        answer = browser.get(path)
        assert answer.status_code != 500, path
        content: bytes = b"".join(answer) if answer.streaming else answer.content
        texts = [content.decode(), html.unescape(content.decode())]
        if path.startswith("/api"):
            texts.append(json.dumps(json.loads(content), ensure_ascii=False))
        assert not (found := [secret for text in texts for secret in found_in(text)]), (path, found)
