"""The results of plain Celery tasks: the package's own pages, without a form for a result that no task has written."""

from django_celery_results.admin import GroupResultAdmin, TaskResultAdmin

from jobs.admin_pages.toolkit.read_only import WithoutAdding


class WrittenTaskResultAdmin(WithoutAdding, TaskResultAdmin):
    pass


class WrittenGroupResultAdmin(WithoutAdding, GroupResultAdmin):
    pass
