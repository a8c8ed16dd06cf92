"""Who may see a page, and what everybody else sees instead."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.views import LoginView, LogoutView, redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from cnaasjobs.api.auth import DevUser
from cnaasjobs.api.caller import refused
from cnaasjobs.api.middleware import foreign_host, foreign_page, foreign_peer
from cnaasjobs.conf import conf
from cnaasjobs.identity import sign_in
from console.frame import said

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]

SAFE: Final = ("GET", "HEAD")
TYPED: Final = ("comment", "reason")  # what people write into forms; in a form's address it is what stands there
LONGEST: Final = 255  # characters of it


def page(permission: str, *, post: str | None = None) -> Callable[[View[P]], View[P]]:
    """A view for people who have this permission.

    Args:
        post: the permission for a POST. Without it the page accepts no POST.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            wanted = (permission,) if post is None else (permission, post)
            response = _refusal(request, wanted, takes_posts=post is not None) or view(request, *args, **kwargs)
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        guarded.takes_posts = post is not None  # type: ignore[attr-defined]  # for the table of rights
        return guarded

    return decorate


def _refusal(request: HttpRequest, permissions: tuple[str, ...], *, takes_posts: bool) -> HttpResponse | None:
    """None if the page may be shown. Without tokens in development everybody is the operator "dev", as in the API."""
    accepted = (*SAFE, "POST") if takes_posts else SAFE
    if request.method not in accepted:
        response = said(request, "Not allowed", f"This page does not accept {request.method}.", status=405)
        response["Allow"] = ", ".join(accepted)
        return response
    if not conf.require_token and not request.user.is_authenticated:
        if why := foreign_peer(request) or _foreign(request):
            return said(request, "Not from another site", f"{why}.", status=403)
        request.user = DevUser()
    if not request.user.is_authenticated:
        if "HX-Request" in request.headers:
            return HttpResponse(status=401)
        return _to_sign_in(request)
    missing = next((permission for permission in permissions if not request.user.has_perm(permission)), None)
    if missing is None:
        return None
    if request.method not in SAFE:
        refused.send(sender=None, request=request, permission=missing)
    words = f"{request.user.get_username()} has no permission {missing}. Somebody who manages users can give it."
    return said(request, "You may not see this", words, status=403)


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """And back. A form whose session has ended meanwhile comes back with what was typed, and has done nothing."""
    address = request.get_full_path()
    if request.method not in SAFE:
        messages.warning(request, "You were no longer signed in, so nothing was done. Send the form again.")
        texts = {name: text for name in TYPED if (text := typed(request.POST.get(name, "")))}
        address = f"{request.path}?{urlencode({**request.GET.dict(), **texts})}"
    return redirect_to_login(address)


def typed(given: str) -> str:
    """A text from a form, as it can be stored."""
    return given.replace("\x00", "").strip()[:LONGEST]


def _foreign(request: HttpRequest) -> str | None:
    """Whether another site asks. It may link to a page; it may not load one by script, or post a form."""
    is_link = request.method in SAFE and request.headers.get("Sec-Fetch-Mode") == "navigate"
    return foreign_host(request) if is_link else foreign_page(request)


class SignIn(LoginView):
    """Wrong attempts are limited by name and by address, where passwords are checked: ``cnaasjobs.api.permissions``."""

    template_name = "console/sign_in.html"
    http_method_names = ["get", "head", "post", "options"]
    redirect_authenticated_user = True

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        by_provider = {"has_provider": sign_in.is_on(), "provider_failed": sign_in.FAILED in self.request.GET}
        return super().get_context_data(**by_provider, **more)


class SignOut(LogoutView):
    http_method_names = ["post", "options"]


def may(request: HttpRequest, permission: str) -> bool:
    user: Any = request.user
    return bool(user.has_perm(permission))
