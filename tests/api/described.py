"""Whether an answer is what the API's description says of it."""

import re
from functools import cache
from typing import Any

import jsonschema

from cnaasjobs.api.description import document

API = "/api/v1.0"


@cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    """What is spelled out comes before what may be anything."""
    templates = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", template) + "/?"), template) for template in templates]


@cache
def _validator(template: str, method: str, status: str) -> jsonschema.Draft202012Validator | None:
    found = document()
    answer = found["paths"][template].get(method.lower(), {}).get("responses", {}).get(status)
    if answer is None:
        return None
    schema = {**answer["content"]["application/json"]["schema"], "components": found["components"]}
    return jsonschema.Draft202012Validator(schema)


def check(method: str, path: str, status: int, body: Any) -> None:
    """Of a URL that is described; an unknown one and a wrong method are not."""
    path = API + path.partition("?")[0]
    template = next((template for pattern, template in _paths() if pattern.fullmatch(path)), None)
    if template is None:
        return
    validator = _validator(template, method, str(status) if status == 200 else f"{status // 100}XX")
    if validator is None:
        assert status == 405, f"{method} {template} does not say that it answers {status}"
        return
    fault = jsonschema.exceptions.best_match(validator.iter_errors(body))
    assert fault is None, f"{method} {template} {status}: {fault.message} at {list(fault.absolute_path)}"
