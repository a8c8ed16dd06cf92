"""An answer's memory is free as soon as it is sent: a page of large results does not wait for the garbage collector."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.http import HttpResponseBase
from django.test import RequestFactory

from cnaasjobs.wsgi import Handler
from tests.api.conftest import API
from tests.factory import job_row

PATHS = [
    *(f"{API}/{path}" for path in ("jobs", "job/{id}", "job/{id}/log", "job/{id}/log?format=text", "schema", "locks")),
    *(f"{API}/{path}" for path in ("jobs?filter[nothing]=1", "job/999999", "nothing")),
    *("/metrics", "/readyz", "/console/jobs", "/console/job/{id}"),
]


@contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", PATHS)
def test_an_answer_is_free_once_it_is_sent(path: str) -> None:
    job = job_row("FINISHED", result='{"a": 1}')
    _sent(path.format(id=job.pk))  # the first one fills caches
    with _without_collector():
        assert _sent(path.format(id=job.pk))() is None


def _sent(path: str) -> "weakref.ref[HttpResponseBase]":
    response = Handler()(RequestFactory().get(path).environ, lambda *_: bytes)
    b"".join(response)
    response.close()
    return weakref.ref(response)
