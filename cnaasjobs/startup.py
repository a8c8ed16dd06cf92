"""What each of our processes checks before anything else: its settings and its database."""

from django.core.checks import ERROR, Tags, run_checks
from django.db import Error, connection

from cnaasjobs.actions import StartAction
from cnaasjobs.checks import SETTINGS
from cnaasjobs.conf import conf
from cnaasjobs.db.changes import without_triggers
from cnaasjobs.db.suitable import unsuitable
from cnaasjobs.events import record
from cnaasjobs.identity.actions import IdentityAction
from cnaasjobs.identity.config import missing_groups


def problems() -> list[str]:
    """Why this process must not start, one line per reason. What is merely unwise in production is logged.

    A database that is away is not a reason: the process waits for it, and ``migrate`` checks it too.
    """
    messages = run_checks(tags=[SETTINGS, Tags.security], include_deployment_checks=not conf.dev)
    shown = [message for message in messages if not message.is_silenced()]
    for message in shown:
        if message.level < ERROR:
            record(StartAction.UNWISE_SETTING, problem=_line(message.msg), check=message.id)
    wrong = [_line(message.msg) for message in shown if message.level >= ERROR]
    try:
        wrong += unsuitable(connection)
        wrong += [
            f"The triggers of table {table} are missing (check jobs.E001)" for table in without_triggers(connection)
        ]
        for name in missing_groups():
            record(IdentityAction.GROUP_MISSING, group=name)
    except Error as exc:
        record(StartAction.DATABASE_UNSEEN, error=_line(str(exc)))
    finally:
        connection.close()  # before a worker or a web server forks
    return wrong


def _line(text: str) -> str:
    return " ".join(text.split())
