"""The roles viewer, operator and admin: groups of Django's that ``migrate`` makes and keeps up to date.

A permission is given to a role's group once, by the first ``migrate`` of a version that knows it. What a person adds to
the group, takes out of it or calls it stays as it is, and a group that was deleted is not made again.
"""

import json
from typing import Any, Final

from django.apps.config import AppConfig
from django.apps.registry import Apps
from django.apps.registry import apps as all_apps
from django.contrib.auth.models import Group, Permission
from django.db import transaction

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.models import Role

VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
ADMIN: Final = "admin"

_RULES: Final = ("intervalschedule", "crontabschedule", "clockedschedule", "solarschedule")
_READ: Final = frozenset(
    {
        "jobs.view_job",
        "jobs.view_heartbeat",
        "jobs.view_auditentry",
        "locks.view_lock",
        "django_celery_results.view_taskresult",
        *(f"django_celery_beat.view_{model}" for model in ("periodictask", *_RULES)),
    }
)
_OPERATE: Final = _READ | {"jobs.add_job", "jobs.abort_job"}
_ADMINISTER: Final = _OPERATE | {
    "jobs.approve_job",
    "locks.clear_lock",
    "knox.view_authtoken",
    "knox.add_authtoken",
    "knox.delete_authtoken",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.view_group",
    *(
        f"django_celery_beat.{verb}_{model}"
        for verb in ("add", "change", "delete")
        for model in ("periodictask", *_RULES)
    ),
}
ROLES: Final = {VIEWER: _READ, OPERATOR: _OPERATE, ADMIN: _ADMINISTER}
_LABELS: Final = frozenset(name.partition(".")[0] for name in _ADMINISTER)


def after_migrate(sender: AppConfig, using: str, apps: Apps = all_apps, **_: Any) -> None:
    """A receiver of Django's ``post_migrate``, which has just made the permissions of ``sender``."""
    if sender.label in _LABELS:
        try:
            apps.get_model("jobs", "Role")
        except LookupError:  # migrated back to before it
            return
        renew(using)


def renew(using: str = "default") -> None:
    """Make the groups that were never made, and give each what is new."""
    rows = Permission.objects.using(using).filter(content_type__app_label__in=_LABELS).select_related("content_type")
    there = {f"{row.content_type.app_label}.{row.codename}": row.pk for row in rows}
    with transaction.atomic(using=using):
        for name, wanted in ROLES.items():
            role = Role.objects.using(using).filter(pk=name).first()
            if role is None:
                role = Role.objects.using(using).create(name=name, group=_new_group(name, using))
            given = set(json.loads(role.given))
            if role.group_id is None or not (new := sorted(wanted & there.keys() - given)):
                continue
            # Not by Django's own ``add``: nobody in the audit trail has done this.
            through = Group.permissions.through
            through._default_manager.using(using).bulk_create(
                [through(group_id=role.group_id, permission_id=there[each]) for each in new], ignore_conflicts=True
            )
            role.given = json.dumps(sorted(given | set(new)))
            role.save(update_fields=["given"])
            record(JobAction.ROLE_GIVEN, role=name, permissions=", ".join(new))


def group_of(name: str) -> Group:
    """The group of a role. Raises Group.DoesNotExist if somebody deleted it."""
    return Group.objects.get(pk__in=Role.objects.filter(pk=name).values("group_id"))


def _new_group(name: str, using: str) -> Group:
    """Make the role's group. If somebody has a group of that name, it is left alone and ours gets another name."""
    groups = Group.objects.using(using)
    free, number = name, 1
    while groups.filter(name=free).exists():
        free, number = f"{name} (cnaasjobs{'' if number == 1 else f' {number}'})", number + 1
    (group,) = groups.bulk_create([Group(name=free)])
    return group
