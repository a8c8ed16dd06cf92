"""Every URL, stream and command, for every kind of user and credential. Nothing ever answers with a 5xx."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import get_commands
from django.http import HttpResponse
from django.test import Client

from cnaasjobs.api import throttle
from cnaasjobs.identity import own
from cnaasjobs.live import application
from cnaasjobs.live.admission import NotAdmitted, admit
from jobs.models import Job
from tests.permissions import urls
from tests.permissions.rows import COMMANDS, OF_ADMIN, OF_API, OF_CONSOLE, OF_LIVE, OF_MODELS, REFRESH, Model, Row
from tests.permissions.things import body_of, make_rows, make_things, path_of
from tests.permissions.who import (
    EVERYBODY,
    KNOWN,
    NOBODY,
    OPERATE_ANYWHERE,
    SCOPED,
    bearers,
    by_bearer,
    by_session,
    is_refused,
    make_user,
)

pytestmark = [pytest.mark.devices, pytest.mark.usefixtures("every_way")]

JSON = "application/json"


def ask(client: Client, row: Row, things: Mapping[str, Any], *, form: bool) -> HttpResponse:
    throttle.forget()
    path, body = path_of(row, things), body_of(row, things)
    send: Any = getattr(client, row.method.lower())
    if row.method == "GET":
        return send(path)  # type: ignore[no-any-return]
    return send(path, body) if form else send(path, body, content_type=JSON)  # type: ignore[no-any-return]


def wrong(who: str, way: str, row: Row, response: HttpResponse) -> str:
    """Empty: as it should be."""
    said = f"{who} by {way}: {row.method} {row.path or row.route} was answered {response.status_code}"
    if response.status_code >= 500:
        return said
    return "" if is_refused(response) == (who not in row.may) else said


def without_row(there: Iterable[Any], rows: Iterable[Any]) -> str:
    new, gone = sorted(set(there) - set(rows)), sorted(set(rows) - set(there))
    return f"tests/permissions/rows.py needs a line for {new}, and none for {gone}" if new or gone else ""


# --- the API ----------------------------------------------------------------------------------------------------------


def test_everything_of_the_api_has_a_row() -> None:
    assert not without_row(urls.of_api(), ((row.method, row.route) for row in (*OF_API, REFRESH)))


@pytest.mark.parametrize("who", EVERYBODY)
def test_each_call_of_the_api_is_allowed_to_whom_the_table_says(who: str) -> None:
    things, user = make_things(), make_user(who)
    ways = {way: by_bearer(text()) for way, text in bearers(who, user).items()}
    if who == NOBODY:
        ways["no credentials"] = Client()
    found = [
        wrong(who, way, row, ask(client, row, things, form=False)) for way, client in ways.items() for row in OF_API
    ]
    assert not [each for each in found if each]


@pytest.mark.parametrize("who", sorted(KNOWN))
def test_a_session_is_nobody_to_the_api(who: str) -> None:
    things, client = make_things(), by_session(make_user(who))
    found = [
        wrong(NOBODY, f"the session of {who}", row, ask(client, row, things, form=False))
        for row in OF_API
        if not row.route.endswith("auth")
    ]
    assert not [each for each in found if each]
    assert Job.objects.count() == 3


@pytest.mark.parametrize("who", sorted(KNOWN))
def test_only_a_jwt_of_our_own_is_refreshed(who: str) -> None:
    user = make_user(who)
    for way, text in bearers(who, user).items():
        status = by_bearer(text()).post(f"/{REFRESH.route}").status_code
        assert (way, status) == (way, 200 if way == "JWT of our own" else 401)


# --- live events ------------------------------------------------------------------------------------------------------


def test_everything_of_the_events_process_has_a_row() -> None:
    served = application.application()
    there = [route.path for route in served.other_asgi_app.routes] + [served.engineio_path.rstrip("/")]
    assert not without_row(there, OF_LIVE)


@pytest.mark.parametrize("who", EVERYBODY)
def test_live_events_are_sent_to_whom_the_table_says(who: str) -> None:
    user = make_user(who)
    ways: dict[str, dict[str, Any]] = {
        way: {"headers": [(b"authorization", f"Bearer {text()}".encode())]} for way, text in bearers(who, user).items()
    }
    ways |= {f"{way} in the query": {"token": text()} for way, text in bearers(who, user).items()}
    session = by_session(user).cookies.get("sessionid")
    if session is not None:
        ways["session"] = {"headers": [(b"cookie", f"sessionid={session.value}".encode())]}
    for way, options in ways.items():
        for path, may in OF_LIVE.items():
            assert (way, _may_listen(path, **options)) == (way, who in may)


def _may_listen(path: str, headers: Iterable[tuple[bytes, bytes]] = (), token: str | None = None) -> bool:
    throttle.forget()
    host = (b"host", b"testserver")
    scope = {"path": path, "query_string": b"", "headers": [host, *headers], "client": ("127.0.0.1", 1)}
    try:
        return bool(admit(scope, token=token))
    except NotAdmitted as exc:
        return exc.status not in (401, 403)


# --- the console ------------------------------------------------------------------------------------------------------


def test_every_page_of_the_console_has_a_row() -> None:
    assert not without_row(urls.of_console(), ((row.method, row.route) for row in OF_CONSOLE))


@pytest.mark.parametrize("who", EVERYBODY)
def test_each_page_of_the_console_is_open_to_whom_the_table_says(who: str) -> None:
    things, user = make_things(), make_user(who)
    found = [wrong(who, "session", row, ask(by_session(user), row, things, form=True)) for row in OF_CONSOLE]
    assert not [each for each in found if each]


def test_a_programs_credentials_are_nobodys_to_the_console_and_the_admin() -> None:
    things = make_things()
    text = own.issued_to("admin", make_user("admin", is_staff=True).password)  # type: ignore[union-attr]
    found = [
        wrong(NOBODY, "JWT", row, ask(by_bearer(text), row, things, form=True)) for row in (*OF_CONSOLE, *OF_ADMIN)
    ]
    assert not [each for each in found if each]


@pytest.mark.parametrize("who", EVERYBODY)
def test_the_forms_of_the_console_act_on_what_the_user_may_operate(who: str) -> None:
    """A user who may do it to some devices gets to the form, and past it only for those."""
    things, client = make_things(), by_session(make_user(who))
    inside, outside = things["job_inside"], things["job_outside"]
    client.post(f"/jobs/{things['done_outside']}/run/again", {})
    assert (Job.objects.count() == 4) == (who in OPERATE_ANYWHERE)
    client.post("/jobs/abort", {"ids": f"{inside},{outside}"})
    ended = set(Job.objects.filter(status="EXCEPTION").values_list("pk", flat=True))
    assert ended == ({inside, outside} if who in OPERATE_ANYWHERE else {inside} if who == SCOPED else set())


# --- the admin --------------------------------------------------------------------------------------------------------


def _of_model(place: str, may: Model, key: Any) -> list[Row]:
    at = f"admin/{place}/"
    one = f"{at}{{object_id}}/"
    return [
        Row("GET", at, may.see),
        Row("GET", f"{at}add/", may.add),
        Row("POST", f"{at}add/", may.add, body={}),
        Row("GET", f"{one}change/", may.see, f"{at}{key}/change/"),
        Row("POST", f"{one}change/", may.change, f"{at}{key}/change/", {}),
        Row("GET", f"{one}history/", may.see, f"{at}{key}/history/"),
        Row("GET", f"{one}delete/", may.delete, f"{at}{key}/delete/"),
        Row("POST", f"{one}delete/", may.delete, f"{at}{key}/delete/", {}),  # without "yes" it asks again
        Row("GET", one, KNOWN, f"{at}{key}/"),  # leads to its page
    ]


def _rows_of_admin(keys: Mapping[str, Any]) -> list[Row]:
    of_apps = [Row("GET", "admin/{app_label}/", KNOWN, f"admin/{place.partition('/')[0]}/") for place in OF_MODELS]
    of_models = [row for place, may in OF_MODELS.items() for row in _of_model(place, may, keys.get(place))]
    return [*OF_ADMIN, *of_apps, *of_models]


def test_every_page_of_the_admin_has_a_row() -> None:
    admin.autodiscover()  # as the URLs do when they are loaded
    models = {model._meta.label_lower.replace(".", "/") for model in admin.site._registry}
    assert not without_row(models, OF_MODELS)
    assert not without_row(urls.of_admin(), (row.route for row in _rows_of_admin({})))


@pytest.mark.parametrize("who", EVERYBODY)
def test_each_page_of_the_admin_is_open_to_whom_the_table_says(who: str) -> None:
    things = make_things()
    client = by_session(make_user(who, is_staff=True))
    found = [
        wrong(who, "session", row, ask(client, row, things, form=True))
        for row in _rows_of_admin(make_rows(things))
        if row.method == "GET" or who not in row.may  # what may be opened may be sent: the pages are Django's
    ]
    assert not [each for each in found if each]


# --- the command line -------------------------------------------------------------------------------------------------


def test_every_command_has_a_row() -> None:
    ours = ("cnaasjobs", "jobs", "locks", "devices", "console")
    there = [name for name, app in get_commands().items() if str(app).partition(".")[0] in ours]
    assert not without_row(there, COMMANDS)
