"""API tokens: made for a user, shown once, listed by their first characters, revoked by deleting."""

from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from knox.admin import AuthTokenAdmin, AuthTokenCreateForm
from knox.models import AuthToken

from cnaasjobs.api.tokens import lifetime
from jobs.admin_pages.toolkit.show import moment
from jobs.models import TokenMaker
from jobs.rights.delegation import refusal_of_token


class TokenForm(AuthTokenCreateForm):
    """knox's form, which makes the token; refuses a token that would grant more than its maker may do."""

    maker: Any = None  # set for each request

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["expiry"].help_text = f"In UTC. If left empty, it expires in {lifetime().days} days."

    def clean_user(self) -> Any:
        user = self.cleaned_data["user"]
        if why := refusal_of_token(self.maker, user):
            raise ValidationError(why)
        return user

    def clean_expiry(self) -> Any:
        return self.cleaned_data.get("expiry") or timezone.now() + lifetime()


class TokenAdmin(AuthTokenAdmin):
    """knox's own page, without the digests. A token is never changed, only made and revoked."""

    add_form = TokenForm

    list_display = ("begins", "user", "made", "ends")
    list_select_related = ("user",)
    ordering = ("user__username", "created")
    search_fields = ("token_key", "user__username")
    search_help_text = "The beginning of a token, or part of a user's name."
    raw_id_fields = ()
    autocomplete_fields = ("user",)
    fields = ("user", "expiry")
    show_full_result_count = False

    def get_fields(self, request: HttpRequest, obj: AuthToken | None = None) -> Any:
        return self.fields if obj is None else ("begins", "user", "made", "ends")

    def get_readonly_fields(self, request: HttpRequest, obj: AuthToken | None = None) -> Any:
        return () if obj is None else ("begins", "user", "made", "ends")

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        form: Any = super().get_form(request, obj, **options)
        return type("TokenForm", (form,), {"maker": request.user})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        page: HttpResponse = super().changelist_view(request, {"title": "API tokens", **(extra_context or {})})
        return page

    def save_model(self, request: HttpRequest, obj: AuthToken, form: Any, change: bool) -> None:
        obj.save()
        TokenMaker.objects.create(token=obj, maker_id=cast("int", request.user.pk))
        obj.text = form.token  # for the answer to this request, and kept nowhere

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows it. A redirect would carry it in a message, which is a cookie or a row."""
        context = {
            **admin.site.each_context(request),
            "opts": self.opts,
            "title": f"New token of {obj.user.get_username()}",
            "text": obj.text,
        }
        return TemplateResponse(request, "admin/jobs/new_token.html", context)

    @admin.display(description="begins with", ordering="token_key")
    def begins(self, token: AuthToken) -> str:
        return f"{token.token_key}…"

    @admin.display(description="created (UTC)", ordering="created")
    def made(self, token: AuthToken) -> SafeString | str:
        return moment(token.created)

    @admin.display(description="expires (UTC)", ordering="expiry")
    def ends(self, token: AuthToken) -> SafeString | str:
        if token.expiry is None:
            return "never expires"
        if token.expiry < timezone.now():
            return format_html('<span class="badge is-dead">ended</span> {}', moment(token.expiry))
        return moment(token.expiry)
