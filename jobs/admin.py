"""What of the platform is in Django's admin; the pages themselves are in ``jobs.admin_pages``."""

import django_celery_beat.admin  # noqa: F401  it registers its own pages first
from django.contrib import admin
from django_celery_beat.models import PeriodicTask

from jobs.admin_pages.audit import AuditEntryAdmin
from jobs.admin_pages.job_list import JobAdmin
from jobs.admin_pages.recurring import RecurringAdmin
from jobs.admin_pages.workers import HeartbeatAdmin
from jobs.models import AuditEntry, Heartbeat, Job

admin.site.register(Job, JobAdmin)
admin.site.register(Heartbeat, HeartbeatAdmin)
admin.site.register(AuditEntry, AuditEntryAdmin)
admin.site.unregister(PeriodicTask)
admin.site.register(PeriodicTask, RecurringAdmin)
