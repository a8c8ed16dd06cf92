"""Held locks in the admin: who holds them, since when, who waits, and clearing one after a warning."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from cnaasjobs.api.caller import note_refusal, origin, who
from locks import holders, service
from locks.holders import HolderState
from locks.models import Lock

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Lock]
else:
    ModelAdmin = admin.ModelAdmin

COUNTED: Final = 1000


@admin.register(Lock)
class LockAdmin(ModelAdmin):
    """Only its holder takes and releases a lock; a person can clear it."""

    list_display = ("name", "holder", "state", "since", "age", "waiting", "fence", "clear_link")
    list_display_links = None
    ordering = ("name",)
    show_full_result_count = False
    sortable_by = ()
    actions = ("clear_selected",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_clear_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("locks.clear_lock")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {"title": "Locks held", **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Lock]:
        return service.held()

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return shown if self.has_clear_permission(request) else [name for name in shown if name != "clear_link"]

    @admin.display
    def holder(self, lock: Lock) -> SafeString | str:
        state = _state(lock)
        if state is None:
            return f"{lock.holder_id}, which no longer exists"
        if state.url is None:
            return state.title or str(lock.holder_id)
        return format_html('<a href="{}">{}</a>', state.url, state.title or lock.holder_id)

    @admin.display(description="its state")
    def state(self, lock: Lock) -> SafeString | str:
        state = _state(lock)
        if state is None:
            return format_html('<span class="holder is-gone">{}</span>', "gone")
        words = f"{state.status}, told to stop" if state.abort and state.running else state.status
        return format_html('<span class="holder {}">{}</span>', "is-running" if state.running else "is-gone", words)

    @admin.display(description="held since (UTC)")
    def since(self, lock: Lock) -> str:
        return f"{lock.start_time:%Y-%m-%d %H:%M:%S}" if lock.start_time else ""

    @admin.display
    def age(self, lock: Lock) -> str:
        if lock.start_time is None:
            return ""
        age = max(timezone.now() - lock.start_time, timedelta())
        return f"{age.total_seconds():.0f} s" if age < timedelta(minutes=1) else timesince(lock.start_time)

    @admin.display(description="in line")
    def waiting(self, lock: Lock) -> str:
        count = holders.provider().waiting([lock.name], at_most=COUNTED + 1).get(lock.name, 0)
        return f"more than {COUNTED}" if count > COUNTED else str(count)

    @admin.display(description="")
    def clear_link(self, lock: Lock) -> SafeString:
        return format_html('<a href="{}">Clear…</a>', _clear_url([lock.pk]))

    # --- clear --------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.clear_view)
        return [path("clear/", view, name="locks_lock_clear"), *super().get_urls()]

    @admin.action(description="Clear selected locks…", permissions=["clear"])
    def clear_selected(self, request: HttpRequest, queryset: QuerySet[Lock]) -> HttpResponse:
        return HttpResponseRedirect(_clear_url(request.POST.getlist(ACTION_CHECKBOX_NAME)))

    def clear_view(self, request: HttpRequest) -> HttpResponse:
        """Ask on GET, clear on POST, and only under the fencing tokens that were shown."""
        if not (self.has_view_permission(request) and self.has_clear_permission(request)):
            raise PermissionDenied
        ids = [int(text) for text in request.GET.get("ids", "").split(",") if _is_number(text)]
        back = reverse("admin:locks_lock_changelist")
        if request.method == "POST":
            for asked in request.POST.getlist("lock"):
                self._clear(request, asked)
            return HttpResponseRedirect(back)
        locks = list(service.held().filter(pk__in=ids[:100]))
        if not locks:
            messages.warning(request, "Nothing to clear: the lock is free.")
            return HttpResponseRedirect(back)
        states = [_state(lock) for lock in locks]
        rows = [
            {"lock": lock, "state": state, "waiting": self.waiting(lock)}
            for lock, state in zip(locks, states, strict=True)
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Clear lock {locks[0].name}?" if len(locks) == 1 else f"Clear {len(locks)} locks?",
            "rows": rows,
            "running": any(state is not None and state.running for state in states),
            "back_url": back,
        }
        return TemplateResponse(request, "admin/locks/clear.html", context)

    def _clear(self, request: HttpRequest, asked: str) -> None:
        fence, _, name = asked.partition(":")
        if not _is_number(fence):
            raise PermissionDenied
        try:
            cleared = service.clear(name, who=who(request), origin=origin(request), fence=int(fence), user=request.user)
        except service.ClearRefused as exc:
            note_refusal(request, str(exc))
            messages.error(request, f"Lock {name[:32]} was not cleared: {exc}.")
        except service.LockNotFound:
            messages.warning(request, f"Lock {name[:32]} was not cleared: it was freed or changed hands meanwhile.")
        else:
            messages.success(request, f"Lock {cleared.name} is cleared; job {cleared.holder_id} held it.")


def _clear_url(ids: Any) -> str:
    return f"{reverse('admin:locks_lock_clear')}?{urlencode({'ids': ','.join(map(str, ids))})}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _state(lock: Lock) -> HolderState | None:
    """The holder's state; None if it no longer exists."""
    if lock.holder_id is None:
        return None
    return holders.provider().describe([lock.holder_id]).get(lock.holder_id)
