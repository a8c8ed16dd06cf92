"""The API's description: OpenAPI 3.1, complete, served with a page to read it. Other tests check answers against it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from cnaasjobs.api.description import document
from cnaasjobs.api.views import ApiViewSet
from tests.api import described
from tests.api.conftest import Api
from tests.services.processes import ROOT
from tests.settings import STARTED_BY_TESTS

pytestmark = pytest.mark.django_db

BROWSER = {"Host": "localhost"}


def test_it_is_served_to_everybody_as_openapi_3_1(tokens_required: None) -> None:
    found = Api().get("/schema").data
    assert found["openapi"] == "3.1.0"
    assert found == document()
    assert Api().post("/schema").status == 405


@pytest.mark.devices
def test_calls_about_one_thing_stand_together() -> None:
    first = {
        path.split("/")[3]: {*call["tags"]}
        for path, calls in document()["paths"].items()
        for call in calls.values()
        if path.startswith("/api/")
    }
    assert first["device_syncto"] == first["device_synchistory"] == first["device"] == first["devices"] == {"devices"}
    assert first["job"] == first["jobs"] == {"jobs"}


_FIRST_AT_ONCE = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
import django

django.setup()
from cnaasjobs.api.description import document

sys.setswitchinterval(1e-6)
barrier = threading.Barrier(4)
with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(lambda _: (barrier.wait(30), document())[1], range(4)))
assert all(one is found[0] for one in found)
"""


def test_several_may_be_the_first_to_ask() -> None:
    """In a new process: drf-spectacular loads parts of itself when it is asked for the first time."""
    env = {**os.environ, STARTED_BY_TESTS: "1"}
    argv = [sys.executable, "-c", _FIRST_AT_ONCE]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def _handlers(patterns: list[URLPattern | URLResolver]) -> dict[type[ApiViewSet], set[str]]:
    found: dict[type[ApiViewSet], set[str]] = {}
    for each in patterns:
        if isinstance(each, URLResolver):
            for view, handlers in _handlers(each.url_patterns).items():
                found.setdefault(view, set()).update(handlers)
            continue
        of_url: Any = getattr(each.callback, "cls", object)
        if issubclass(of_url, ApiViewSet):
            found.setdefault(of_url, set()).update(each.callback.actions.values())  # type: ignore[attr-defined]
    return found


def test_every_handler_of_every_url_stands_in_it() -> None:
    operations = [each for path in document()["paths"].values() for each in path.values()]
    for view, handlers in _handlers(get_resolver().url_patterns).items():
        assert view.described.keys() == handlers, view
        for handler in handlers:
            assert any(each["summary"] == view.described[handler].summary for each in operations), (view, handler)
    ids = [each["operationId"] for each in operations]
    assert len(set(ids)) == len(ids)


def test_each_list_says_what_is_in_it() -> None:
    """Generators of API clients ask for that, and otherwise leave out whatever contains the list."""
    schemas = [each for each in _parts(document()) if "array" in each.get("type", ())]
    assert len(schemas) > 10  # also without devices
    assert [each for each in schemas if "items" not in each] == []


def test_a_number_in_a_path_is_described_as_one() -> None:
    """Otherwise a client that is generated from the description wants it as text."""
    paths = document()["paths"]
    kinds = {
        each["name"]: each["schema"]["type"]
        for path in paths.values()
        for operation in path.values()
        for each in operation.get("parameters", ())
        if each["in"] == "path"
    }
    assert kinds.pop("job_id") == "integer"
    assert {kind for name, kind in kinds.items() if not name.endswith("_id")} == {"string"}


def _parts(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _parts(each)


def test_its_schemas_are_schemas_and_what_they_refer_to_is_there() -> None:
    found = document()
    for path in found["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                for content in answer["content"].values():
                    jsonschema.Draft202012Validator.check_schema(content["schema"])
    for name in re.findall(r"#/components/schemas/(\w+)", str(found)):
        jsonschema.Draft202012Validator.check_schema(found["components"]["schemas"][name])


@pytest.mark.devices
def test_every_body_that_is_taken_stands_in_it_as_json() -> None:
    found = document()
    bodies = {
        (method.upper(), path): operation["requestBody"]["content"]
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
        if "requestBody" in operation
    }
    taken = {("PUT", "/api/v1.0/job/{job_id}"), ("DELETE", "/api/v1.0/joblocks"), ("POST", "/api/v1.0/device_syncto")}
    assert taken <= bodies.keys()
    for content in bodies.values():
        assert [*content] == ["application/json"]
        schema = {**content["application/json"]["schema"], "components": found["components"]}
        jsonschema.Draft202012Validator.check_schema(schema)
        assert not jsonschema.Draft202012Validator(schema).is_valid({"no such key": 1})


@pytest.mark.devices
def test_what_the_documentation_lists_stands_in_it() -> None:
    """Whoever answers it: a view, the events process, what comes before the views."""
    listed = set()
    for row in re.findall(
        r"^\| (`(?:GET|PUT|POST|DELETE) .*?) \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE
    ):
        for method, path in re.findall(r"`(GET|PUT|POST|DELETE) (/[^` ]*)", row):
            beside = path in ("/metrics", "/healthz", "/readyz")
            listed.add((method.lower(), re.sub(r"<\w+>", "{}", path if beside else f"/api/v1.0{path}")))
    operations = {
        (method, re.sub(r"repository/\{\}", "repository/settings", re.sub(r"\{\w+\}", "{}", path)))
        for path, methods in document()["paths"].items()
        for method in methods
    }
    assert len(listed) > 25
    assert listed - {("get", "/api/v1.0/repository/templates")} <= operations
    assert operations - listed == {("get", "/api/v1.0/schema"), ("put", "/api/v1.0/repository/settings")}


@pytest.mark.devices
def test_a_key_that_makes_repeating_safe_stands_in_it() -> None:
    operation = document()["paths"]["/api/v1.0/device_syncto"]["post"]
    assert ("header", "Idempotency-Key") in {(each["in"], each["name"]) for each in operation["parameters"]}
    assert operation["requestBody"]["required"] is True


def test_the_description_says_that_metrics_are_text() -> None:
    assert [*document()["paths"]["/metrics"]["get"]["responses"]["200"]["content"]] == ["text/plain"]


def test_a_list_says_how_it_can_be_filtered() -> None:
    operation = document()["paths"]["/api/v1.0/jobs"]["get"]
    names = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "query"}
    assert names >= {"per_page", "page", "sort", "filter[status]", "filter[finish_time]", "filter_jobresult"}
    assert "X-Total-Count" in operation["responses"]["200"]["headers"]
    assert operation["security"] == [{"token": []}]
    assert "jobs.view_job" in operation["description"]


def test_an_answer_that_differs_from_its_description_is_noticed() -> None:
    answer = {"status": "success", "data": {"locks": [{"job_id": 1, "name": "devices", "start_time": "now"}]}}
    with pytest.raises(AssertionError, match="abort"):
        described.check("GET", "/joblocks", 200, answer)
    with pytest.raises(AssertionError, match="does not say that it answers 201"):
        described.check("GET", "/joblocks", 201, answer)


def test_a_view_that_describes_nothing_is_refused_at_start() -> None:
    class Nothing(ApiViewSet):
        permissions_required = {"GET": None}

        def list(self) -> None: ...

    with pytest.raises(TypeError, match="Nothing does not describe list"):
        Nothing.as_view({"get": "list"})


def test_the_page_runs_only_what_this_server_serves() -> None:
    client = Client(headers=BROWSER)
    page = client.get("/api/v1.0/docs")
    assert page.status_code == 200
    policy = page["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    text = page.content.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|https?://", text)
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
    assert len(files) == 3
    for file in files:
        served = client.get(file)
        assert (served.status_code, len(served.getvalue()) > 100) == (200, True)
        served.close()
    assert client.post("/api/v1.0/docs").status_code == 405
