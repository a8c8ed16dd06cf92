"""The benchmark's database, as Django's settings name it."""

import os
from typing import Any

from psycopg2.extensions import parse_dsn


def database() -> dict[str, Any]:
    parts = parse_dsn(os.environ["BENCH_DATABASE_URL"])
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return {"ENGINE": "django.db.backends.postgresql", **{names[key]: value for key, value in parts.items()}}
