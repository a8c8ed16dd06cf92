"""Ids that cannot be any: a form or an address may name what is no number, or too large for its column.

Django asks the database all the same, in three places, and the answer would be a server error. They become ids that
nothing has.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.db.models import Field
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    MultipleChoiceField = ModelMultipleChoiceField[Any]
else:
    ModelAdmin = admin.ModelAdmin
    MultipleChoiceField = ModelMultipleChoiceField


class CheckedIds(ModelAdmin):
    """What ``Site`` puts before every registered page."""

    def response_action(self, request: HttpRequest, queryset: Any, *where: Any, **options: Any) -> HttpResponse | None:
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        possible = _possible(self.opts.pk, selected)
        if len(possible) < len(selected):
            given = request.POST.copy()
            given.setlist(ACTION_CHECKBOX_NAME, possible)
            request.POST = given  # type: ignore[assignment]
        return super().response_action(request, queryset, *where, **options)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        field: Any = self.opts.pk if from_field is None else self.opts.get_field(from_field)
        return super().get_object(request, object_id, from_field) if _possible(field, [object_id]) else None

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            options["widget"] = _Autocomplete(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **{"form_class": _Several, **options})


class _Autocomplete(AutocompleteSelect):
    """Shows nothing for an id that the form will refuse."""

    def optgroups(self, name: str, value: Any, attr: Any = None) -> Any:
        return super().optgroups(name, _possible(self.field.remote_field.model._meta.pk, value), attr)


class _Several(MultipleChoiceField):
    def clean(self, value: Any) -> Any:
        queryset: Any = self.queryset
        for each in value or ():
            if not _possible(queryset.model._meta.pk, [each]):
                raise ValidationError(self.error_messages["invalid_pk_value"], "invalid_pk_value", {"pk": each})
        return super().clean(value)


def _possible(field: "Field[Any, Any]", given: Collection[Any]) -> list[Any]:
    return [each for each in given if _is_possible(field, each)]


def _is_possible(field: "Field[Any, Any]", given: Any) -> bool:
    try:
        of_id = getattr(field, "target_field", field)  # the primary key may itself be another row's
        of_id.run_validators(of_id.to_python(given))
    except (ValidationError, ValueError, OverflowError):
        return False
    return given not in ("", None)
