"""The locks: who holds each, since when, who waits for it, and clearing one."""

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from cnaasjobs.api.caller import note_refusal, origin, who
from console.access import may, page
from console.frame import said, show
from console.reads.locks import shown_locks
from jobs import feed
from locks import service

_DIGITS: Final = 18  # of a fencing token


@page("locks.view_lock")
def locks(request: HttpRequest) -> HttpResponse:
    position = feed.position()
    context = {"locks": shown_locks(), "can_clear": may(request, "locks.clear_lock")}
    return show(request, "console/locks.html", context, after=position)


@page("locks.clear_lock", post="locks.clear_lock")
def clear(request: HttpRequest) -> HttpResponse:
    """Ask, then clear the lock, but only if the holder is still the one that was shown: its fencing token tells."""
    back = HttpResponseRedirect(reverse("console:locks"))
    if request.method == "POST":
        _clear(request, request.POST.get("name", ""), request.POST.get("fence", ""))
        return back
    name = request.GET.get("name", "")
    found = next((lock for lock in shown_locks() if lock.line.name == name), None)
    if found is None or found.line.holder is None:
        words = f"Nobody holds a lock {name[:32]}." if name else "The address names no lock."
        return said(request, "Nothing to clear", words, status=404, back=reverse("console:locks"))
    return show(request, "console/clear_lock.html", {"lock": found})


def _clear(request: HttpRequest, name: str, fence: str) -> None:
    is_number = fence.isascii() and fence.isdigit() and len(fence) <= _DIGITS
    try:
        if not is_number or "\x00" in name:
            raise service.LockNotFound(name)
        cleared = service.clear(name, who=who(request), origin=origin(request), fence=int(fence), user=request.user)
    except service.ClearRefused as exc:
        note_refusal(request, str(exc))
        messages.error(request, f"Lock {name[:32]} was not cleared: {exc}.")
    except service.LockNotFound:
        messages.warning(request, f"Lock {name[:32]} was not cleared: it was freed or changed hands meanwhile.")
    else:
        messages.success(request, f"Lock {cleared.name} is cleared; job {cleared.holder_id} held it.")
