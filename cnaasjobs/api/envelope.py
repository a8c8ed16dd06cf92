"""The one shape of every answer: ``{"status": "success", "data": …}`` or ``{"status": "error", "message": "…"}``."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.http import HttpResponse
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cnaasjobs.secrecy import mask

JSON = "application/json"


class LongJSON:
    """JSON text as it is stored, in pieces of UTF-8: too long for a second copy in memory."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = pieces


def stored_json(text: str | None) -> orjson.Fragment | None:
    """JSON text as it is stored, to be spliced into an answer without being parsed; None stays null."""
    return None if text is None else orjson.Fragment(text)


def success_body(data: Any, **beside: Any) -> dict[str, Any]:
    """The success envelope; ``beside`` are keys for the top level, such as ``job_id``."""
    return {"status": "success", "data": data, **beside}


def error_body(message: str) -> dict[str, str]:
    return {"status": "error", "message": mask(message)}


def success(data: Any, *, headers: Mapping[str, str] | None = None, **beside: Any) -> Response:
    return Response(success_body(data, **beside), headers=dict(headers or {}))


def error_response(message: str, *, status: int) -> HttpResponse:
    """An error as a finished response, for places where no DRF view is involved."""
    body = orjson.dumps(_encodable(error_body(message)))
    return HttpResponse(body, status=status, headers={"Content-Type": JSON, "Content-Length": str(len(body))})


def _encodable(body: dict[str, str]) -> dict[str, str]:
    return {key: text.encode("utf-8", "replace").decode() for key, text in body.items()}


class EnvelopeRenderer(BaseRenderer):
    """Writes JSON with orjson, which splices stored JSON text as it is."""

    media_type = JSON
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if data is None:
            return b""
        long: list[LongJSON] = []
        mark = secrets.token_hex().encode()  # which no stored text can contain

        def marked(value: Any) -> orjson.Fragment:
            if not isinstance(value, LongJSON):
                raise TypeError(f"{type(value).__name__} is not JSON")
            long.append(value)
            return orjson.Fragment(mark)

        body = orjson.dumps(data, default=marked)
        if long:
            between = body.split(mark)
            (renderer_context or {})["response"].add_post_render_callback(lambda answer: _write(answer, between, long))
        return body


def json_bytes(value: Any) -> bytes:
    """The same JSON as one text in memory, for what is not a response of the API."""

    def whole(part: Any) -> orjson.Fragment:
        if not isinstance(part, LongJSON):
            raise TypeError(f"{type(part).__name__} is not JSON")
        return orjson.Fragment(b"".join(part.pieces))

    return orjson.dumps(value, default=whole)


def _write(response: HttpResponse, between: Sequence[bytes], long: Sequence[LongJSON]) -> None:
    """Replace the marks with what they stand for; the server sends the pieces one after the other."""
    response.content = between[0]
    for value, text in zip(long, between[1:], strict=True):
        response.writelines([*value.pieces, text])
    size = sum(map(len, between)) + sum(len(piece) for value in long for piece in value.pieces)
    response.headers["Content-Length"] = str(size)  # otherwise Django would join the pieces to find out


class AlwaysJSON(DefaultContentNegotiation):
    """Answers are JSON whatever the client accepts: a browser's ``Accept: text/html`` is not an error."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], JSON

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        named = (request.content_type or "").partition(";")[0].strip().lower()
        return next((parser for parser in parsers if parser.media_type == named), None)
