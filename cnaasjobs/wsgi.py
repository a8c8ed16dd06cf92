"""The WSGI entry point for gunicorn: ``gunicorn cnaasjobs.wsgi``."""

import os
from collections.abc import Iterable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from cnaasjobs.database import bound_waits, new_request

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
_django = get_wsgi_application()
bound_waits()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    new_request()
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        _measure_body(environ)
    return _django(environ, start_response)


def _measure_body(environ: dict[str, Any]) -> None:
    """Django takes a body without a Content-Length for an empty one. A byte over its limit is enough to be refused."""
    body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
