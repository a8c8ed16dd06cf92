"""Brings the database up to date before the platform starts: migrations, the admin user, a token for the API.

In a process of its own, which ``loaded`` makes, so that the supervisor stays free of Django.
"""

import json
import secrets
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import Error, connection

from cnaasjobs.checks import unimportable_jobs
from cnaasjobs.conf import WrongSettings, conf
from cnaasjobs.db.suitable import unsuitable
from cnaasjobs.run.config import LOGIN_KEY
from cnaasjobs.run.state import kept, secret, write_secret

ADMIN = "admin"
PASSWORD_FILE = "admin-password"
TOKEN_FILE = "token"


def admin_user(state_dir: Path) -> dict[str, Any]:
    """Makes the admin user at the first start. Its password is None if it was changed since, or is not ours."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.hashers import PBKDF2PasswordHasher, check_password

    file = state_dir / PASSWORD_FILE
    user_model = get_user_model()
    user = user_model.objects.filter(username=ADMIN).first()
    is_new = user is None
    if user is None:
        # A random one can't be guessed. Until somebody logs in, its hash need not be one that takes a third of a
        # second, now and at each start.
        iterations = None if kept(file) else 1
        hasher = PBKDF2PasswordHasher()
        hashed = hasher.encode(secret(file, lambda: secrets.token_urlsafe(12)), hasher.salt(), iterations=iterations)
        user = user_model(username=ADMIN, password=hashed, is_staff=True, is_superuser=True)
        user.save()
    word = kept(file)
    password = word if check_password(word, user.password) else None
    return {"name": ADMIN, "is_new": is_new, "password": password, "file": str(file)}


def api_token(state_dir: Path) -> str:
    """The token kept in the state directory, or a new one if the database does not know it."""
    from django.contrib.auth import get_user_model
    from knox.crypto import hash_token
    from knox.models import AuthToken

    file = state_dir / TOKEN_FILE
    if AuthToken.objects.filter(digest=hash_token(token := kept(file))).exists():
        return token
    _, token = AuthToken.objects.create(get_user_model().objects.get(username=ADMIN))
    write_secret(file, token)
    return str(token)


def prepare(*, with_token: bool) -> dict[str, Any]:
    from jobs.models import Job

    if conf.jwt_login and conf.jwt_login_key_file == conf.state_dir / LOGIN_KEY:
        from cnaasjobs.identity.own import new_key

        secret(conf.jwt_login_key_file, new_key)
    if wrong := [*unimportable_jobs(), *unsuitable(connection)]:
        raise WrongSettings(wrong)
    call_command("migrate", verbosity=0)
    return {
        "admin": admin_user(conf.state_dir),
        "token": api_token(conf.state_dir) if with_token else None,
        "is_first_start": not Job.objects.exists(),
    }


def main(*, with_token: bool) -> bool:
    """Prints one JSON object. False: with the reason why the database can't be used as it is."""
    try:
        report = prepare(with_token=with_token)
    except WrongSettings as wrong:
        report = {"wrong": str(wrong)}
    except Error as error:
        report = {"error": " ".join(str(error).split())}
    print(json.dumps(report))
    return "token" in report
