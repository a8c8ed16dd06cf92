"""Users and groups: Django's own pages, in which nobody can grant more than they have.

Django trusts anybody who may change users with everything: a new password lets them log in as anybody, a tick makes
them superuser.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet
from django.http import HttpRequest

from cnaasjobs.identity.models import Identity
from jobs.rights.delegation import holds, may_change, may_give

if TYPE_CHECKING:
    _UserAdmin = UserAdmin[User]
else:
    _UserAdmin = UserAdmin


class OwnUserAdmin(_UserAdmin):
    """Users who may do no more than the person at the page can be changed. Others are only shown."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or may_change(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or may_change(request.user, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """An identity provider's user has a name that the form would refuse, such as "ann/login.example.org"."""
        fields = super().get_readonly_fields(request, obj)
        fields = fields if _is_superuser(request) else (*fields, "is_superuser")
        return (*fields, "username", "comes_from") if _identity_of(obj) else fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        return [*fieldsets, ("Identity provider", {"fields": ("comes_from",)})] if _identity_of(obj) else fieldsets

    @admin.display(description="comes from")
    def comes_from(self, user: User) -> str:
        return str(_identity_of(user) or "")

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        if not _is_superuser(request):
            options["queryset"] = _groups(request) if db_field.name == "groups" else _permissions(request)
        return super().formfield_for_manytomany(db_field, request, **options)


class OwnGroupAdmin(GroupAdmin):
    """A group that may do more than the person at the page is only shown."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or holds(request.user, obj))

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        if not _is_superuser(request):
            options["queryset"] = _permissions(request)
        return super().formfield_for_manytomany(db_field, request, **options)


def _identity_of(user: User | None) -> Identity | None:
    return None if user is None else Identity.objects.filter(user=user).first()


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _permissions(request: HttpRequest) -> QuerySet[Permission]:
    """The permissions that the person at the page has without a scope."""
    found = Permission.objects.select_related("content_type")
    return found.filter(pk__in=[each.pk for each in found if may_give(request.user, each)])


def _groups(request: HttpRequest) -> QuerySet[Group]:
    found = Group.objects.prefetch_related("permissions__content_type")
    return Group.objects.filter(pk__in=[group.pk for group in found if holds(request.user, group)])
