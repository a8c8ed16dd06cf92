"""What a person at the shell is told when the database can't do what was asked of it."""

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor

from cnaasjobs.db.not_now import not_now


def in_words(exc: Error) -> str | None:
    """One line for the person at the shell. None for a mistake in the code or the data: show its traceback."""
    if not_now(exc):
        return no_answer(exc)
    try:
        migrations = MigrationExecutor(connection)
        left = migrations.migration_plan(migrations.loader.graph.leaf_nodes())
    except Error as another:
        return no_answer(another)
    return f"The database lacks {len(left)} migrations of this version: python manage.py migrate" if left else None


def no_answer(exc: Error) -> str:
    return f"No answer from the database: {' '.join(str(exc).split())}"
