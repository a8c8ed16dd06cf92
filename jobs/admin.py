"""Registers the platform with Django's admin; the pages themselves are in ``jobs.admin_pages``."""

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from django_celery_results.models import GroupResult, TaskResult
from knox.models import AuthToken

from jobs.admin_pages.accounts import OwnGroupAdmin, OwnUserAdmin
from jobs.admin_pages.audit_page import AuditEntryAdmin
from jobs.admin_pages.job_list import JobAdmin
from jobs.admin_pages.plain_results import WrittenGroupResultAdmin, WrittenTaskResultAdmin
from jobs.admin_pages.recurring import CrontabAdmin, RecurringAdmin, RuleAdmin
from jobs.admin_pages.scopes import ScopeAdmin
from jobs.admin_pages.tokens import TokenAdmin
from jobs.admin_pages.workers import HeartbeatAdmin
from jobs.models import AuditEntry, GroupScope, Heartbeat, Job

admin.site.register(Job, JobAdmin)
admin.site.register(Heartbeat, HeartbeatAdmin)
admin.site.register(AuditEntry, AuditEntryAdmin)
admin.site.register(GroupScope, ScopeAdmin)
# Importing our pages registered the packages' own.
rules = (IntervalSchedule, ClockedSchedule, SolarSchedule)
for theirs in (PeriodicTask, CrontabSchedule, *rules, TaskResult, GroupResult, AuthToken, User, Group):
    admin.site.unregister(theirs)
admin.site.register(PeriodicTask, RecurringAdmin)
admin.site.register(CrontabSchedule, CrontabAdmin)
admin.site.register(rules, RuleAdmin)
admin.site.register(TaskResult, WrittenTaskResultAdmin)
admin.site.register(GroupResult, WrittenGroupResultAdmin)
admin.site.register(AuthToken, TokenAdmin)
admin.site.register(User, OwnUserAdmin)
admin.site.register(Group, OwnGroupAdmin)
