"""The WSGI entry point for gunicorn: ``gunicorn cnaasjobs.wsgi``."""

import gc
import os
from collections.abc import Iterable, Mapping
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import get_resolver
from django.utils.http import parse_header_parameters

from cnaasjobs.db.bounded_waits import bound_waits, new_request
from cnaasjobs.web.deadlines import BoundedInput


class Utf8Request(WSGIRequest):
    """Decodes query strings as UTF-8, whatever charset the request names.

    Django takes the charset of the body, and with one such as "rot13" it fails before any view can answer. The parser
    refuses a body in another charset.
    """

    def _set_content_type_params(self, meta: Mapping[str, str]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


class Handler(WSGIHandler):
    request_class = Utf8Request


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
gc.disable()  # until everything is loaded: none of it is garbage, so searching it would be in vain
django.setup(set_prefix=False)
_django = Handler()
get_resolver().urlconf_module  # noqa: B018  (loads the views, which the first request would wait for)
bound_waits()
gc.enable()
gc.freeze()  # later searches skip it too: each would hold up all requests for 0.1 s


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if (sock := environ.get("gunicorn.socket")) is not None:
        environ["wsgi.input"] = BoundedInput(environ["wsgi.input"], sock)
    if "PROXY_ADDR" in environ:  # where the client called; without a Host, gunicorn has the path of its socket there
        environ["SERVER_NAME"], environ["SERVER_PORT"] = environ["PROXY_ADDR"], environ["PROXY_PORT"]
    new_request()
    return _django(environ, start_response)
