"""The two routes of the events process, as one ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import socketio
from django.db import Error
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cnaasjobs.api.envelope import error_body
from cnaasjobs.api.errors import DATABASE_AWAY, RETRY_AFTER
from cnaasjobs.live.admission import NotAdmitted
from cnaasjobs.live.cors import headers_for, preflight
from cnaasjobs.live.database import Database
from cnaasjobs.live.front_ends import FrontEnds
from cnaasjobs.live.poller import Poller
from cnaasjobs.live.readers import Readers
from cnaasjobs.live.report import Report

EVENTS = "/api/v1.0/events"
SOCKET_IO = "/socket.io/"


def application() -> Any:
    database = Database()
    poller = Poller(database)
    readers = Readers(database, poller)
    front_ends = FrontEnds(database, poller)
    report = Report(database, poller)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(each.run()) for each in (poller, front_ends, report)]
        for task in tasks:
            task.add_done_callback(_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            database.close()

    routes = [
        Route(path, answer, methods=[method])
        for path in (EVENTS, f"{EVENTS}/")
        for method, answer in (("GET", readers.respond), ("OPTIONS", preflight))
    ]
    handlers: Any = {NotAdmitted: _refused, HTTPException: _refused_by_route, Error: _away}
    starlette = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return socketio.ASGIApp(front_ends.server, starlette, socketio_path=SOCKET_IO.strip("/"))


def _ended(task: "asyncio.Task[None]") -> None:
    """These tasks never end by themselves. If one does, the process ends too, and a supervisor restarts it."""
    if not task.cancelled() and (exc := task.exception()) is not None:
        raise SystemExit(1) from exc


def _refused(request: Request, exc: Any) -> Response:
    return _error(request, exc.status, exc.message, exc.headers)


def _refused_by_route(request: Request, exc: Any) -> Response:
    return _error(request, exc.status_code, HTTPStatus(exc.status_code).phrase, exc.headers or {})


def _away(request: Request, exc: Exception) -> Response:
    return _error(request, HTTPStatus.SERVICE_UNAVAILABLE, DATABASE_AWAY, RETRY_AFTER)


def _error(request: Request, status: int, message: str, headers: Mapping[str, str]) -> Response:
    every = {"Cache-Control": "no-store", **headers_for(request)}
    return JSONResponse(error_body(message), status_code=status, headers={**headers, **every})
