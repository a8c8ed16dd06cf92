"""Canaries: secrets in every place where one can be, and a search for them wherever anything is stored or shown."""

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

import ahocorasick
import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.test import Client

from cnaasjobs.live.connections import lines_of, update_of
from jobs import feed
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


_FORMS = ahocorasick.Automaton()
for _secret in ALL:
    for _form in forms(_secret):
        _FORMS.add_word(_form.lower(), _secret)
_FORMS.make_automaton()
_NUMBERS = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")  # ids, times, tokens
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
    found = sorted({secret for _, secret in _FORMS.iter(lower)})
    return found or ([lower[max(0, lower.index(MARK) - 80) :][:200]] if MARK in lower else [])


def stored() -> str:
    """Every text of every table."""
    rows = [row for model in apps.get_models() for row in model._default_manager.values_list()]
    return "\n".join(str(value) for row in rows for value in row)


def unlike(rows: Iterable[tuple[Any, str]]) -> list[Any]:
    """Of those that have the same words, but for numbers, one: pages would show the same of the others."""
    return list({_NUMBERS.sub("", words): key for key, words in rows}.values())


def unlike_jobs() -> list[int]:
    """Of the jobs of which the same is stored, but for numbers, one."""
    words: dict[int, list[str]] = {pk: [] for pk in Job.objects.values_list("pk", flat=True)}
    for model in apps.get_models():
        names = [field.attname for field in model._meta.fields]
        if model is Job or "job_id" in names:
            for job, *row in model._default_manager.values_list("pk" if model is Job else "job_id", *names):
                words.get(job, []).append(str(row))
    return unlike((job, "\n".join(rows)) for job, rows in words.items())


def pages(jobs: Sequence[int]) -> list[str]:
    """Of the API, of the console and of the admin: every list, these jobs, and each other row that is unlike others."""
    api = ["jobs", "joblocks", "locks", "devices", "device/sw1", "device/sw1/jobs", "device_synchistory", "groups"]
    api += ["mgmtdomains", "settings/server", "auth/permissions", "system/version", "repository/settings"]
    api += [f"job/{pk}{part}" for pk in jobs for part in ("", "/log", "/devices", "/devices/sw1?report=1", "/waiting")]
    sites = ["/admin/"]
    admin.autodiscover()  # as the URLs do when they are loaded
    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        stored_rows = model._default_manager.values_list("pk", *(field.attname for field in model._meta.fields))
        rows = unlike((pk, str(row)) for pk, *row in stored_rows)
        sites += [path, *(f"{path}{pk}/{page}/" for pk in rows for page in ("change", "history"))]
    console = ["/jobs", "/jobs?q=status:exception", "/devices", "/devices/sw1", "/locks", "/timeline", "/schedules"]
    console += ["/workers", f"/jobs/rows?{'&'.join(f'id={pk}' for pk in jobs)}", "/jobs/abort?all=1", "/metrics"]
    parts = ("", "/raw", "/log", "/diff", "/devices.csv", "/devices/sw1", "/devices/sw1?part=1", "/run/again")
    console += [f"/jobs/{pk}{part}" for pk in jobs for part in (*parts, "/run/failed", "/run/plan", "/approve")]
    return [*(f"/api/v1.0/{path}" for path in api), *sites, *console]


def told() -> str:
    """What listeners to live events are told, from the first change on: as events, and as lines of socket.io."""
    everything = feed.look(feed.position()._replace(top=0, open=())).told
    assert everything is not None
    lines = [line for each in everything if each.kind is feed.Kind.LOG for line in lines_of(each)]
    updates = [update_of(each.data) for each in everything if each.kind is feed.Kind.JOB]
    return "\n".join(map(str, [*everything, *lines, *updates]))


def typed_out(jobs: Sequence[int]) -> str:
    """What the command line writes of these jobs, and in the list of all."""
    out = StringIO()
    call_command("jobs", "list", "-n", "1000", stdout=out)
    for pk in jobs:
        for words in (("show",), ("show", "--json"), ("log",)):
            call_command("jobs", words[0], str(pk), *words[1:], stdout=out)
    return out.getvalue()


def nothing_shows(browser: Client) -> None:
    jobs = unlike_jobs()
    for place, text in {"stored": stored(), "told": told(), "typed out": typed_out(jobs)}.items():
        assert not (found := found_in(text)), (place, found)
    for path in pages(jobs):
        answer = browser.get(path)
        assert answer.status_code != 500, path
        content: bytes = b"".join(answer) if answer.streaming else answer.content
        texts = [content.decode(), html.unescape(content.decode())]
        if answer["Content-Type"].startswith("application/json"):
            texts.append(json.dumps(json.loads(content), ensure_ascii=False))
        assert not (found := [secret for text in texts for secret in found_in(text)]), (path, found)
