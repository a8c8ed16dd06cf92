"""The Content-Security-Policy of all pages: what a browser may load and run on them, and nothing else.

Django 6 has this middleware. The setting has the same name and form there, so that this module can then be dropped.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

HEADER: Final = "Content-Security-Policy"


class ContentSecurityPolicyMiddleware:
    """Sends ``SECURE_CSP``, unless a view has said its own policy."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.policy = policy_of(settings.SECURE_CSP)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault(HEADER, self.policy)
        return response


def policy_of(directives: Mapping[str, Iterable[str]]) -> str:
    return "; ".join(f"{name} {' '.join(sources)}" for name, sources in directives.items())
