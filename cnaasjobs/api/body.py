"""Reading a request's JSON body: strict UTF-8, no NaN, bounded depth, no NUL that PostgreSQL could not store."""

import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import IO, Any

import orjson
from django.conf import settings
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from cnaasjobs.api.errors import BadRequest, UnsupportedMediaType
from cnaasjobs.nesting import MAX_DEPTH, TOO_DEEP

# A whole string, or a bracket outside of one. An unterminated string matches up to the end of the text: otherwise the
# search would begin again at each quotation mark in it.
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
UTF8 = {"", "utf-8", "utf8", "us-ascii", "ascii"}


class StrictJSONParser(JSONParser):
    """A subclass of JSONParser, because DRF reads the body for those through Django, which limits its size."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        charset = _charset(media_type or "")
        if charset not in UTF8:
            raise UnsupportedMediaType(f"Request body must be UTF-8, not {charset[:40]}")
        raw = stream.read()
        _refuse_depth(raw)
        try:
            parsed = orjson.loads(raw)
        except orjson.JSONDecodeError as exc:
            raise BadRequest(f"Request body is not valid JSON: {exc}") from exc
        if b"u0000" in raw:
            _refuse_nul(parsed)
        return parsed


def refuse_encoded(request: Request) -> None:
    """A compressed body would be misread; and a small one may unpack to any size."""
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType(f"Request body must not be encoded, Content-Encoding is {encoding[:40]}")


def measure_chunked(request: Request) -> None:
    """Django treats a body without a Content-Length as empty. One byte over its limit is enough to be refused.

    Reading it takes as long as the client likes, so this comes only after the permission was checked.
    """
    http: Any = request._request
    if "chunked" in http.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        try:
            body = http.environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        except OSError as exc:
            raise BadRequest("Request body could not be read") from exc
        http.META["CONTENT_LENGTH"] = str(len(body))
        http._stream = BytesIO(body)


def json_object(request: Request) -> dict[str, Any]:
    """The request's body as a dict. No body at all counts as an empty object.

    Raises:
        BadRequest, UnsupportedMediaType: it is anything else. Django refuses one that is too large.
    """
    data = request.data
    if not isinstance(data, dict):
        raise BadRequest("Request body must be a JSON object")
    return data


def _charset(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return ""


def _refuse_depth(raw: bytes) -> None:
    """Checked before parsing: all code that walks JSON or writes it again has its own, different limit."""
    depth = 0
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    for token in _BRACKETS.findall(raw):
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise BadRequest(f"Request body is {TOO_DEEP}")
        elif token in b"]}":
            depth -= 1


def _refuse_nul(parsed: Any) -> None:
    for name, text in _strings(parsed, "request body"):
        if "\x00" in text:
            raise BadRequest(f"{name.replace(chr(0), '')[:100]} contains a NUL character")


def _strings(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Every string in the value, with the nearest key above it; found without recursion."""
    todo = [(value, name)]
    while todo:
        part, where = todo.pop()
        if isinstance(part, str):
            yield where, part
        elif isinstance(part, dict):
            for key, inner in part.items():
                yield "a key", key
                todo.append((inner, key))
        elif isinstance(part, list):
            todo.extend((inner, where) for inner in part)
