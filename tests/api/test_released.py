"""An answer's memory is free as soon as it is sent: a page of large results does not wait for the garbage collector."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponseBase
from django.test import Client, RequestFactory

from tests.api.conftest import API
from tests.factory import job_row

PAGES = {
    200: [
        *(f"{API}/{path}" for path in ("jobs", "job/{id}", "job/{id}/log", "job/{id}/log?format=text", "schema")),
        *("/metrics", "/jobs", "/jobs/{id}", "/locks", "/admin/jobs/job/"),
    ],
    400: [f"{API}/jobs?filter[nothing]=1"],
    404: [f"{API}/job/999999", f"{API}/nothing", "/jobs/999999"],
    503: ["/readyz"],
}


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("status", "path"), [(status, path) for status, paths in PAGES.items() for path in paths])
def test_an_answer_is_free_once_it_is_sent(status: int, path: str, admin_client: Client) -> None:
    job = job_row("FINISHED", result='{"a": 1}')
    request = RequestFactory(headers={"Cookie": admin_client.cookies.output(header="", sep=";")})
    environ = request.get(path.format(id=job.pk)).environ
    _sent(dict(environ))  # the first one fills caches
    with _without_collector():
        found, response = _sent(environ)
        assert (found, response()) == (status, None)


def _sent(environ: dict[str, Any]) -> "tuple[int, weakref.ref[HttpResponseBase]]":
    response = WSGIHandler()(environ, lambda *_: bytes)
    b"".join(response)
    response.close()
    return response.status_code, weakref.ref(response)
