"""System checks of our settings, of what is allowed but unwise in production, and of the database.

The settings are checked as Django has them now: a local settings module may have changed them.
"""

import ipaddress
import traceback
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from celery import current_app
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_permission_codename
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseAway
from django.db import connections
from kombu.utils.url import url_to_parts

import jobs
from cnaasjobs.conf import Conf, Start, conf
from cnaasjobs.db.suitable import unsuitable
from cnaasjobs.identity import config as identity

SETTINGS: Final = "settings"
# What modules with jobs call. If it refuses its arguments, the line to correct is in their module.
_REFUSING: Final = Path(jobs.__file__).parent


@register(SETTINGS)
def settings_make_sense(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    wrong: list[CheckMessage] = [
        Error(f"{variable.name} {problem}", id="cnaasjobs.E001")
        for variable in Conf.variables()
        if (problem := variable.wrong(conf.value_of(variable.name)))
    ]
    return wrong or [*_together()]


def _together() -> Iterator[CheckMessage]:
    name = Conf.worker_lost_seconds.name
    for other in (Conf.heartbeat_seconds, Conf.upkeep_seconds):
        if 3 * conf.value_of(other.name) > conf.worker_lost_seconds:
            words = f"{name} must be at least three times {other.name}, or a live worker looks lost"
            yield Error(words, id="cnaasjobs.E002")
    for problem in identity.problems():
        yield Error(problem, id="cnaasjobs.E005")


@register(SETTINGS, deploy=True)
def production_is_careful(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    return [*_unwise()]


def _unwise() -> Iterator[CheckMessage]:
    for problem in identity.unwise():
        yield Warning(problem, id="cnaasjobs.W007")
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS has *: the sender of a request chooses the host name in its links",
            id="cnaasjobs.W001",
        )
    if settings.CELERY_TASK_DEFAULT_QUEUE_TYPE == "quorum":
        yield _quorum(redis=settings.CELERY_BROKER_URL.startswith("redis"))
    for number, url in enumerate(settings.CELERY_BROKER_URL.split(";"), start=1):
        yield from _unwise_broker(f"CELERY_BROKER_URL (broker {number})", url)


def _unwise_broker(which: str, url: str) -> Iterator[CheckMessage]:
    broker = url_to_parts(url)
    is_amqp, is_redis = broker.scheme in ("amqp", "amqps", "pyamqp"), broker.scheme in ("redis", "rediss")
    is_local = _is_loopback(broker.hostname)
    # Without a user kombu takes guest with the password guest: RabbitMQ's default, which everybody knows.
    if is_amqp and (broker.username or "guest") == (broker.password or "guest") == "guest":
        yield Warning(f"{which} logs in as guest with the password guest", id="cnaasjobs.W002")
    if is_redis and not broker.password and not is_local:
        yield Warning(f"{which} requires no password: whoever can reach it can send messages", id="cnaasjobs.W006")
    has_tls = broker.scheme in ("amqps", "rediss") or getattr(settings, "CELERY_BROKER_USE_SSL", False)
    if (is_amqp or is_redis) and not is_local and not has_tls:
        yield Warning(
            f"{which} is reached without TLS: anybody on the way can read the password and send messages",
            hint="use amqps:// or rediss://",
            id="cnaasjobs.W003",
        )


def _quorum(*, redis: bool) -> CheckMessage:
    name = Start.quorum_queues.name
    if redis:
        return Warning(f"{name} is 1, and the broker is a Redis, which has no quorum queues", id="cnaasjobs.W005")
    return Warning(
        f"{name} is 1: quorum queues have no priorities before RabbitMQ 4.0, and two before 4.3 (5 to 9, 0 to 4)",
        hint="leave it unset, or let no job depend on its priority",
        id="cnaasjobs.W004",
    )


def _is_loopback(host: str | None) -> bool:
    name = (host or "localhost").strip("[]").lower()
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:  # a name; one that only begins like these may be anybody's
        return name == "localhost" or name.endswith(".localhost")


@register("jobs", deploy=True)
def jobs_can_be_imported(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    wrong: list[CheckMessage] = [Error(problem, id="cnaasjobs.E006") for problem in unimportable_jobs()]
    return wrong or [*_of_no_job(), *_of_no_permission()]


def _of_no_job() -> Iterator[CheckMessage]:
    """A misspelt name would go unnoticed. It is no error, as the results of a job that is gone may still be shown."""
    from jobs import follow_ups, result_views  # ``make run`` imports this module before there are models
    from jobs.rights import selected

    known = current_app.tasks
    for module in (result_views, follow_ups, selected):
        for name in (each for each in module.registered() if each not in known):
            close = get_close_matches(name, known, n=1)
            words = f"{module.__name__} has a registration for {name}, and there is no such job"
            yield Warning(words, f"did you mean {close[0]}?" if close else None, id="cnaasjobs.W008")


def _of_no_permission() -> Iterator[CheckMessage]:
    declared = {f"{model._meta.app_label}.{name}" for model in apps.get_models() for name in _permissions(model._meta)}
    for name, task in sorted(current_app.tasks.items()):
        needed = getattr(task, "permission", None)
        if needed and needed not in declared and not _is_stored(needed):
            close = get_close_matches(needed, declared, n=1)
            words = f"{name} can be started by superusers alone: there is no permission {needed}"
            yield Warning(words, f"did you mean {close[0]}?" if close else None, id="cnaasjobs.W009")


def _permissions(model: Any) -> Iterator[str]:
    yield from (get_permission_codename(action, model) for action in model.default_permissions)
    yield from (codename for codename, _ in model.permissions)


def _is_stored(permission: str) -> bool:
    """Whether somebody has made it in the database."""
    from django.contrib.auth.models import Permission

    app, _, codename = permission.partition(".")
    try:
        return Permission.objects.filter(content_type__app_label=app, codename=codename).exists()
    except DatabaseAway:
        return True


def unimportable_jobs() -> Iterator[str]:
    """Modules with jobs with which no worker and no Beat could start, and where each fails."""
    for app in apps.get_app_configs():
        module = f"{app.name}.tasks"
        try:
            if find_spec(module):
                import_module(module)
        except Exception as exc:  # noqa: BLE001  whatever their code raises
            yield f"{module} can't be imported: {type(exc).__name__}: {exc}, in {_where(exc)}"


def _where(exc: Exception) -> str:
    if isinstance(exc, SyntaxError):  # its text names the line
        return str(exc.filename)
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if not frame.filename.startswith("<")]
    theirs = [frame for frame in frames if not Path(frame.filename).is_relative_to(_REFUSING)]
    last = (theirs or frames)[-1]
    return f"{last.filename}, line {last.lineno}"


@register(Tags.database)
def databases_are_suitable(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    return [problem for alias in databases or () for problem in _of_database(alias)]


def _of_database(alias: str) -> Iterator[CheckMessage]:
    try:
        connections[alias].ensure_connection()
        for problem in unsuitable(connections[alias]):
            yield Error(problem, id="cnaasjobs.E003")
    except DatabaseAway as exc:
        yield Error(f"The database does not answer: {' '.join(str(exc).split())}", id="cnaasjobs.E004")
