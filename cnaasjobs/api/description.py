"""How a view describes its answers, and the OpenAPI 3.1 document that drf-spectacular makes from all descriptions.

A view says in ``described`` what each of its handlers takes and answers, in JSON Schema; ``ApiViewSet`` refuses one
that does not. The tests of the API check every answer against the document, so that the document stays true.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any, Final

Schema = Mapping[str, Any]

JSON: Final = "application/json"
PLAIN: Final = "text/plain"

NULLABLE_TEXT: Final[Schema] = {"type": ["string", "null"]}
NUMBER: Final[Schema] = {"type": "integer"}
TEXT: Final[Schema] = {"type": "string"}
_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$"
TIME: Final[Schema] = {
    "type": "string",
    "pattern": _TIME,
    "description": "UTC",
    "examples": ["2019-12-05T13:06:03.319761"],
}
NULLABLE_TIME: Final[Schema] = {**TIME, "type": ["string", "null"]}

_components: dict[str, Schema] = {
    "Error": {
        "type": "object",
        "properties": {"status": {"const": "error"}, "message": {"type": "string", "minLength": 1}},
        "required": ["status", "message"],
        "additionalProperties": False,
    }
}


ELSEWHERE: Final[dict[str, Schema]] = {}  # by path
_one_at_a_time: Final = Lock()


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of the query, or a header."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: TEXT)


@dataclass(frozen=True, kw_only=True)
class Described:
    """One handler of a view."""

    summary: str
    answer: Schema  # what ``data`` contains; the whole answer, if it is bare
    beside: Mapping[str, Schema] = field(default_factory=dict)  # keys at the top level beside it
    bare: bool = False
    body: Schema | None = None
    parameters: tuple[Parameter, ...] = ()
    pages: bool = False  # the answer can be paged, filtered and sorted
    headers: Mapping[str, str] = field(default_factory=dict)  # the answer's
    asked_headers: tuple[Parameter, ...] = ()  # those that a client may send
    media: tuple[str, ...] = (JSON,)  # the media types of the answer
    public: bool = False  # no credentials are required
    scheme: str = "token"  # which credentials are required: one of the document's securitySchemes

    def whole_answer(self) -> Schema:
        if self.bare:
            return self.answer
        return exactly({"status": {"const": "success"}, "data": self.answer, **self.beside})


def exactly(properties: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    """An object with these keys and no others."""
    required = [name for name in properties if name not in set(optional)]
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def component(name: str, schema: Schema) -> Schema:
    """Give a schema a name in the document; returns the reference to it."""
    _components[name] = schema
    return reference(name)


def reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def elsewhere(path: str, operation: Schema) -> None:
    """Describe a GET that is answered not by a view but by another process, or by a middleware."""
    answers = {**operation["responses"], **ERRORS}
    ELSEWHERE[path] = {"get": {**operation, "responses": dict(sorted(answers.items()))}}


def document() -> dict[str, Any]:
    """The OpenAPI document of all URLs of this process."""
    with _one_at_a_time:  # drf-spectacular loads its extensions while it looks at the first view
        return _made()


@cache
def _made() -> dict[str, Any]:
    from drf_spectacular.generators import SchemaGenerator  # it is large, and used only once

    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return made


_ERROR: Final = {JSON: {"schema": reference("Error")}}
ERRORS: Final[Schema] = {
    "4XX": {"content": _ERROR, "description": "The request is invalid or not allowed"},
    "5XX": {"content": _ERROR, "description": "Temporarily unavailable: the database, or another part, is away"},
}


# --- drf-spectacular's hooks, named in the settings -------------------------------------------------------------------


def without_slash(endpoints: list[tuple[str, str, str, Any]], **_: Any) -> list[tuple[str, str, str, Any]]:
    """A trailing slash is allowed and never needed; a URL without methods has nothing to describe."""
    return [(path.rstrip("/"), *rest) for path, *rest in endpoints if hasattr(rest[-1].cls, "described")]


def with_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    result["paths"] = dict(sorted({**result["paths"], **ELSEWHERE}.items()))
    result["components"] = {
        "schemas": dict(sorted(_components.items())),
        "securitySchemes": {
            "token": {"type": "http", "scheme": "bearer"},
            "basic": {"type": "http", "scheme": "basic"},
        },
    }
    return result
