"""Checks an answer against the API's description."""

import re
from functools import cache
from typing import Any

import jsonschema

from cnaasjobs.api.description import document
from jobs.api.described_elsewhere import EVENTS

API = "/api/v1.0"


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    """What is spelled out comes before what may be anything."""
    templates = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", template) + "/?"), template) for template in templates]


@cache
def _validator(template: str, method: str, status: str) -> jsonschema.Draft202012Validator | None:
    found = document()
    answers = found["paths"][template].get(method.lower(), {}).get("responses", {})
    answer = answers.get(status) or answers.get(f"{status[0]}XX")
    if answer is None:
        return None
    schema = {**answer["content"]["application/json"]["schema"], "components": found["components"]}
    return jsonschema.Draft202012Validator(schema)


def check(method: str, path: str, status: int, body: Any) -> None:
    """Of a URL of the API that is described; an unknown one and a wrong method are not."""
    check_at(method, API + path.partition("?")[0], status, body)


def check_event(name: str, data: Any) -> None:
    """The data of one of the live events."""
    fault = jsonschema.exceptions.best_match(_event_validator(name).iter_errors(data))
    assert fault is None, f"{name}: {fault.message} at {list(fault.absolute_path)}"


@cache
def _event_validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({**EVENTS[name], "components": document()["components"]})


def check_at(method: str, path: str, status: int, body: Any) -> None:
    template = next((template for pattern, template in _paths() if pattern.fullmatch(path)), None)
    if template is None:
        return
    validator = _validator(template, method, str(status))
    if validator is None:
        assert status == 405, f"{method} {template} does not say that it answers {status}"
        return
    fault = jsonschema.exceptions.best_match(validator.iter_errors(body))
    assert fault is None, f"{method} {template} {status}: {fault.message} at {list(fault.absolute_path)}"
