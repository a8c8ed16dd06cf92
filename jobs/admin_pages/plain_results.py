"""The results of plain Celery tasks: the package's own pages, without a form for a result that no task has written."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django_celery_results.admin import GroupResultAdmin, TaskResultAdmin

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin


class _Written(ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class WrittenTaskResultAdmin(_Written, TaskResultAdmin):
    pass


class WrittenGroupResultAdmin(_Written, GroupResultAdmin):
    pass
