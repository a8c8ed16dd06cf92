"""Scopes of groups. To change one, a person needs every permission of the group, without a scope of their own."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from jobs.models import GroupScope
from jobs.rights.delegation import holds
from jobs.rights.reach import names_in

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[GroupScope]
    ModelAdmin = admin.ModelAdmin[GroupScope]
else:
    ModelForm, ModelAdmin = forms.ModelForm, admin.ModelAdmin

_NAMES = ("device_groups", "device_types", "functions")


class ScopeForm(ModelForm):
    class Meta:
        model = GroupScope
        fields = ("group", *_NAMES)
        widgets = {name: forms.Textarea(attrs={"rows": 4, "cols": 40}) for name in _NAMES}

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        for name in _NAMES:
            data[name] = "\n".join(sorted(names_in(str(data.get(name) or ""))))
        if not any(data[name] for name in _NAMES):
            raise ValidationError("Name at least one device group, device type or function")
        return data


class ScopeAdmin(ModelAdmin):
    form = ScopeForm
    list_display = ("group", *_NAMES)
    list_select_related = ("group",)
    ordering = ("group__name",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("group",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or _may_scope(request, obj.group))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or _may_scope(request, obj.group))

    def formfield_for_foreignkey(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        if db_field.name == "group":
            allowed = [group.pk for group in Group.objects.all() if _may_scope(request, group)]
            options["queryset"] = Group.objects.filter(pk__in=allowed)
        return super().formfield_for_foreignkey(db_field, request, **options)


def _may_scope(request: HttpRequest, group: Group) -> bool:
    return holds(request.user, group, without_scope=True)
