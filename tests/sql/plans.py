"""How PostgreSQL carries out the statements of a call."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext


def asked(ask: Callable[[], object]) -> list[str]:
    """The statements, of which nothing stays done."""
    with CaptureQueriesContext(connection) as captured, transaction.atomic():
        ask()
        transaction.set_rollback(True)
    statements = [str(query["sql"]).strip() for query in captured.captured_queries]
    return [sql for sql in statements if sql.startswith(("SELECT", "WITH", "UPDATE", "INSERT", "EXECUTE"))]


def plan_of(sql: str) -> list[dict[str, Any]]:
    """The steps that the statement took, of which nothing stays done either."""
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}".replace("%", "%%"))
        ((found,),) = cursor.fetchall()
        transaction.set_rollback(True)
    return list(_nodes(found[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)
