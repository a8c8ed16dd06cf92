"""``manage.py token``: make, list and revoke the API tokens of Django's users."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from knox.models import AuthToken

from cnaasjobs.api.tokens import lifetime


class Command(BaseCommand):
    help = "Create, list and revoke API tokens. Only a token's hash is stored: its text is shown once, at creation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        create = verbs.add_parser("create", help="create a token for a user and print it")
        create.add_argument("user", help="the user's name")
        create.add_argument("--days", type=int, help="it expires after this many days (default: CNAASJOBS_TOKEN_DAYS)")
        listing = verbs.add_parser("list", help="list tokens, without their text")
        listing.add_argument("user", nargs="?", help="only this user's")
        revoke = verbs.add_parser("revoke", help="revoke a token now")
        revoke.add_argument("id", help="as shown by `token list`")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _create(self, options: dict[str, Any]) -> None:
        days = options["days"]
        if days is not None and not 1 <= days <= 36500:
            raise CommandError("--days must be from 1 to 36500")
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"No user named {options['user']} (manage.py createsuperuser or the admin creates one)")
        _, token = AuthToken.objects.create(user, expiry=lifetime() if days is None else timedelta(days=days))
        self.stdout.write(token)

    def _list(self, options: dict[str, Any]) -> None:
        rows = AuthToken.objects.select_related("user").order_by("user__username", "created")
        if options["user"]:
            rows = rows.filter(user__username=options["user"])
        for row in rows:
            self.stdout.write(f"{row.token_key}  {row.user.get_username()}  made {row.created:%Y-%m-%d}  {_end(row)}")

    def _revoke(self, options: dict[str, Any]) -> None:
        found = AuthToken.objects.select_related("user").filter(token_key=options["id"])
        if not found:
            raise CommandError(f"No token {options['id']} (manage.py token list shows them)")
        for row in found:
            row.delete()
            self.stdout.write(f"Revoked {row.token_key} of {row.user.get_username()}")


def _end(row: AuthToken) -> str:
    if row.expiry is None:
        return "never expires"
    return f"{'ended' if row.expiry < timezone.now() else 'ends'} {row.expiry:%Y-%m-%d}"
