"""Audit entries made on Django's signals: logins, refusals, and changes of users, groups, tokens and schedules.

The entry is written in the transaction of the change. The person is taken from the request that is being answered;
without one it is somebody at the command line, or what ``done_by`` says.
"""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from knox.models import AuthToken

from cnaasjobs.api import throttle
from cnaasjobs.api.caller import current_request, origin, refused, who
from jobs.audit import trail
from jobs.deeds import Deed
from jobs.models import GroupScope

COMMAND_LINE: Final = "command line"
_RULES: Final = (IntervalSchedule, CrontabSchedule, ClockedSchedule, SolarSchedule)  # when schedules fire
# These change nobody's rights, and only the platform writes them.
_UNWATCHED: Final = frozenset({"last_login", "last_run_at", "total_run_count", "date_changed"})


_doer: ContextVar[tuple[str, str] | None] = ContextVar("doer", default=None)


@contextmanager
def done_by(who: str, origin: str) -> Iterator[None]:
    """Inside the block, changes outside any request are attributed to this part of the platform."""
    token = _doer.set((who, origin))
    try:
        yield
    finally:
        _doer.reset(token)


def connect() -> None:
    """Call once, when Django is ready."""
    for model in (get_user_model(), Group, GroupScope, AuthToken, PeriodicTask, *_RULES):
        name = model._meta.label_lower
        post_save.connect(_saved, sender=model, dispatch_uid=f"jobs.audit.saved.{name}")
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"jobs.audit.deleted.{name}")
    for through in (
        get_user_model().groups.through,
        get_user_model().user_permissions.through,
        Group.permissions.through,
    ):
        m2m_changed.connect(_granted, sender=through, dispatch_uid=f"jobs.audit.granted.{through._meta.label_lower}")
    pre_save.connect(_end_tokens, sender=get_user_model(), dispatch_uid="jobs.audit.end_tokens")
    user_logged_in.connect(_logged_in, dispatch_uid="jobs.audit.logged_in")
    user_login_failed.connect(_login_failed, dispatch_uid="jobs.audit.login_failed")
    refused.connect(_refused, dispatch_uid="jobs.audit.refused")


def _record(deed: Deed, detail: str) -> None:
    request = current_request()
    if request is None:
        by, where = _doer.get() or (operator(), COMMAND_LINE)
        trail.add(deed, who=by, origin=where, detail=detail)
    else:
        trail.add(deed, who=who(request), origin=origin(request), detail=detail)


def operator() -> str:
    """The shell's user, by name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user of a container may have no name
        return "unknown"


def _named(row: Model) -> str:
    """What it is and whose it is, without anything secret."""
    if isinstance(row, AuthToken):
        return f"token {row.token_key} of {row.user.get_username()}"
    if isinstance(row, PeriodicTask):
        return f"schedule {row.name} of {row.task}"
    return f"{row._meta.verbose_name} {row}"


def _saved(instance: Model, created: bool, raw: bool, update_fields: Any = None, **_: Any) -> None:
    if raw or (update_fields and set(update_fields) <= _UNWATCHED) or _is_rehash(instance, update_fields):
        return
    _record(Deed.MADE if created else Deed.CHANGED, _named(instance))


def _deleted(instance: Model, **_: Any) -> None:
    _record(Deed.DELETED, _named(instance))


def _granted(instance: Model, action: str, model: type[Model], pk_set: set[int] | None, **_: Any) -> None:
    words = {"post_add": "given", "post_remove": "taken", "post_clear": "all taken"}
    if action in words:
        what = model._meta.verbose_name_plural
        named = ", ".join(sorted(str(row) for row in model._default_manager.filter(pk__in=pk_set or ())))
        _record(Deed.CHANGED, f"{_named(instance)}: {what} {words[action]}: {named or 'all'}")


def _end_tokens(instance: Any, raw: bool, update_fields: Any = None, **_: Any) -> None:
    """A changed password and a deactivated account end the user's tokens: nobody who had one may go on using it."""
    if raw or instance.pk is None or _is_rehash(instance, update_fields):
        return
    before = type(instance)._default_manager.filter(pk=instance.pk).values_list("password", "is_active").first()
    if before is None:
        return
    password, was_active = before
    if instance.password != password or (was_active and not instance.is_active):
        for token in AuthToken.objects.filter(user=instance):
            token.delete()


def _is_rehash(instance: Any, update_fields: Any) -> bool:
    """Whether this stores the same password under a newer hash, as Django does at a login: nobody has changed it."""
    is_password_alone = set(update_fields or ()) == {"password"}  # only users have one
    return is_password_alone and instance._password is None and instance.has_usable_password()


def _refused(request: Any, permission: str, **_: Any) -> None:
    detail = f"{request.method} {request.path[:200]}: permission {permission}"
    trail.add(Deed.REFUSED, who=who(request), origin=origin(request), detail=detail)


def _logged_in(user: Any, **_: Any) -> None:
    request = current_request()
    where = COMMAND_LINE if request is None else origin(request)
    trail.add(Deed.LOGGED_IN, who=user.get_username(), origin=where)


def _login_failed(credentials: dict[str, Any], **_: Any) -> None:
    """Keeps only the beginning of the name as it was typed: it may be a password typed into the wrong field."""
    request = current_request()
    if throttle.was_turned_away(request):  # anybody could fill the table with them; the first ones are in it
        return
    where = COMMAND_LINE if request is None else origin(request)
    name = str(credentials.get("username") or "").replace("\x00", "")
    known = get_user_model()._default_manager.filter(username=name).exists()
    trail.add(Deed.LOGIN_FAILED, who=name if known else f"unknown user {name[:2]}…", origin=where)
