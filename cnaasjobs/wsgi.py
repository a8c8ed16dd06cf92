"""The WSGI entry point for gunicorn: ``gunicorn cnaasjobs.wsgi``."""

import os
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

from cnaasjobs.database import bound_waits, new_request

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
_django = get_wsgi_application()
bound_waits()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    new_request()
    return _django(environ, start_response)
