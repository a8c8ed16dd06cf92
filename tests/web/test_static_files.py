"""Scripts and style sheets that are replaced under a server that runs, as by an upgrade."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from cnaasjobs.static_files import StaticFiles

pytestmark = pytest.mark.django_db  # Django looks at its connection when a request has ended

Ask = Callable[[], tuple[int, bytes, int]]


@pytest.fixture
def file(tmp_path: Path, settings: Settings) -> Path:
    settings.STATICFILES_DIRS = [tmp_path]
    path = tmp_path / "page.css"
    path.write_text("a { color: red; }\n")
    return path


@pytest.fixture
def ask(file: Path) -> Ask:
    def nothing(request: HttpRequest) -> HttpResponse:
        return HttpResponse(b"none", status=404, headers={"Content-Length": 4})

    server = StaticFiles(nothing)

    def ask() -> tuple[int, bytes, int]:
        answer: Any = server(RequestFactory().get(f"/static/{file.name}"))
        with contextlib.closing(answer):
            return answer.status_code, answer.getvalue(), int(answer.headers["Content-Length"])

    return ask


@pytest.mark.parametrize("text", ["b {}\n", "b { color: green; }\na { color: blue; }\n", "a { color: sky; }\n"])
def test_what_is_there_now_is_sent_whole(file: Path, ask: Ask, text: str) -> None:
    assert ask()[1] == file.read_bytes()
    file.unlink()
    assert ask()[0] == 404
    file.write_text(text)
    os.utime(file, ns=(0, 0))  # older than the one before, as a checkout of the version before may be
    assert ask() == (200, text.encode(), len(text))
