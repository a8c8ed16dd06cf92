"""``manage.py audit verify``: is the audit trail intact?"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobs.audit.seal import verify


class Command(BaseCommand):
    help = "Checks whether an entry of the audit trail was changed, deleted or inserted. Exits with 1 if one was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("verify", help="check the chain of seals over all entries")

    def handle(self, *args: Any, **options: Any) -> None:
        verdict = verify()
        if verdict.faults:
            raise CommandError("The audit trail is not intact:\n" + "\n".join(verdict.faults))
        self.stdout.write(
            f"{verdict.sealed} entries are sealed and intact, {verdict.unsealed} newer ones not yet sealed"
        )
