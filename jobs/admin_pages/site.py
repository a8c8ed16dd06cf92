"""The admin site: its name, its front page, the order of what it lists. ``cnaasjobs.apps`` makes Django use it."""

from functools import update_wrapper
from typing import Any, Final

from django.contrib.admin import AdminSite, ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse

from cnaasjobs.secrecy import storable
from jobs.admin_pages.toolkit.possible import CheckedIds

# What operators use first: title, app, model.
MAIN_PAGES: Final = (
    ("Jobs", "jobs", "job"),
    ("Locks", "locks", "lock"),
    ("Workers", "jobs", "heartbeat"),
    ("Schedules", "django_celery_beat", "periodictask"),
    ("Audit trail", "jobs", "auditentry"),
)
APPS: Final = ("jobs", "locks", "django_celery_beat", "auth", "knox", "django_celery_results")
MODELS: Final = ("job", "heartbeat", "auditentry", "periodictask")


class Site(AdminSite):
    site_header = site_title = "cnaasjobs"
    index_title = "Overview"
    site_url = None
    index_template = "admin/jobs/index.html"
    enable_nav_sidebar = False  # the lists need the space; the main pages are in the header

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """PostgreSQL refuses to look for a NUL, which anybody can put into an address or a form."""

        def with_storable(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            request.GET, request.POST = _storable(request.GET), _storable(request.POST)  # type: ignore[assignment]
            return view(request, *args, **kwargs)

        return super().admin_view(update_wrapper(with_storable, view), cacheable)

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        theirs: Any = admin_class or ModelAdmin
        names = {"__module__": theirs.__module__, "__doc__": theirs.__doc__}
        super().register(model_or_iterable, type(theirs)(theirs.__name__, (CheckedIds, theirs), names), **options)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from jobs.admin_pages import dashboard  # this module is imported before the models

        return super().index(request, {**dashboard.context(request), **(extra_context or {})})

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Django's, but for the list of all tables, which takes a tenth of a page's time for the sidebar alone."""
        may_see = request.user.has_perm if self.has_permission(request) else lambda permission: False
        shortcuts = [
            (words, reverse(f"admin:{app}_{model}_changelist"))
            for words, app, model in MAIN_PAGES
            if may_see(f"{app}.view_{model}") or may_see(f"{app}.change_{model}")
        ]
        if may_see("jobs.view_job"):
            shortcuts.insert(0, ("Console", "/"))
        return {
            "site_title": self.site_title,
            "site_header": self.site_header,
            "site_url": self.site_url,
            "has_permission": self.has_permission(request),
            "is_popup": False,
            "is_nav_sidebar_enabled": self.enable_nav_sidebar,
            "log_entries": self.get_log_entries(request),
            "shortcuts": shortcuts,
        }

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = sorted(super().get_app_list(request, app_label), key=lambda app: _place(app["app_label"], APPS))
        for app in apps:
            app["models"].sort(key=lambda model: _place(model["object_name"].lower(), MODELS))
        return apps

    def catch_all_view(self, request: HttpRequest, url: str) -> HttpResponse:
        """The project's APPEND_SLASH is off, for the API's sake; here a forgotten slash is added."""
        if request.method == "GET" and not url.endswith("/"):
            return HttpResponsePermanentRedirect(request.get_full_path(force_append_slash=True))
        return super().catch_all_view(request, url)


def _place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)


def _storable(given: QueryDict) -> QueryDict:
    if not any("\0" in value for values in given.lists() for value in values[1]):
        return given
    made = given.copy()
    for name, values in given.lists():
        made.setlist(name, [*map(storable, values)])
    return made
