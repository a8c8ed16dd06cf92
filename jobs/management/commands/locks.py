"""``manage.py locks``: who holds which lock, who waits for it; and clearing one."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cnaasjobs.terminal import console_on
from jobs.api.waiting_json import lock_objects
from jobs.cli import deeds, tables
from jobs.cli.terminal import stream_of, write_json
from jobs.waiting import lines
from locks.service import LockNotFound


class Command(BaseCommand):
    help = "Shows the locks that are held or waited for, and clears one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listing = verbs.add_parser("list", help="each lock with its holder and its line")
        listing.add_argument("--json", action="store_true", help="JSON, as in the API")
        clear = verbs.add_parser("clear", help="free a lock; the job that holds it stops before its next device")
        clear.add_argument("name", help="as locks list shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        stream = stream_of(self)
        if options["verb"] == "clear":
            try:
                holder = deeds.clear(options["name"])
            except LockNotFound as exc:
                raise CommandError(f"{exc}: {options['name'][:40]}", returncode=2) from exc
            self.stdout.write(f"cleared; job {holder} held it")
        elif options["json"]:
            write_json(stream, {"locks": lock_objects()})
        else:
            console_on(stream).print(tables.locks_table(lines.all_lines()))
