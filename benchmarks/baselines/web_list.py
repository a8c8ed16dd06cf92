"""The list of jobs as a bare WSGI view: the same rows by the best SQL, by key, composed by the database, no count.

``/jobs/after/<id>``, ``/jobs/newest/``, ``/jobs/running/RUNNING``, ``/jobs/finished/<from>/<to>``,
``/jobs/contains/<text>`` (which counts too), ``/jobs/ids/<first>/<step>`` and ``/job/<id>``.
"""

import os
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

import psycopg2

DSN = os.environ["BENCH_DATABASE_URL"].replace("postgres:", "postgresql:")
_TIME = "coalesce('\"' || to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '\"', 'null')"
_TEXT = "coalesce(to_json({0})::text, 'null')"
_JSON = "coalesce({0}, 'null')"
_NUMBER = "coalesce({0}::text, 'null')"
_FIELDS: Final = {
    "id": "id::text",
    "status": "'\"' || status || '\"'",
    "scheduled_time": _TIME,
    "start_time": _TIME,
    "finish_time": _TIME,
    "function_name": _TEXT,
    "scheduled_by": _TEXT,
    "comment": _TEXT,
    "ticket_ref": _TEXT,
    "next_job_id": _NUMBER,
    "result": _JSON,
    "exception": _JSON,
    "finished_devices": _JSON,
    "change_score": _NUMBER,
    "start_arguments": _JSON,
}
_OBJECT = "'{' || " + " || ',' || ".join(f"'\"{k}\":' || {v.format(k)}" for k, v in _FIELDS.items()) + " || '}'"


def _query(where: str, order: str = "ASC") -> str:
    return (
        f"SELECT coalesce(string_agg({_OBJECT}, ',' ORDER BY id {order}), '')"
        f" FROM (SELECT * FROM jobs_job WHERE {where} ORDER BY id {order} LIMIT 50) AS page"
        " LEFT JOIN jobs_joboutcome ON job_id = id"
    )


_QUERIES: Final = {
    "after": _query("id > %s"),
    "newest": _query("%s = ''", "DESC"),
    "running": _query("status = %s"),
    "finished": _query("finish_time >= %s AND finish_time < %s"),
    "contains": _query("function_name ILIKE %s"),
    "ids": _query("id >= %s AND id %% 50 = %s"),
    "job": _query("id = %s"),
}
_COUNT = "SELECT count(*) FROM jobs_job WHERE function_name ILIKE %s"
_local = threading.local()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    kind, *arguments = environ["PATH_INFO"].removeprefix("/").removeprefix("jobs/").split("/")
    headers = [("Content-Type", "application/json")]
    with _connection().cursor() as cursor:
        if kind == "contains":
            arguments = [f"%{arguments[0]}%"]
            cursor.execute(_COUNT, arguments)
            headers.append(("X-Total-Count", str(cursor.fetchone()[0])))
        cursor.execute(_QUERIES[kind], arguments)
        body = b'{"status":"success","data":{"jobs":[' + cursor.fetchone()[0].encode() + b"]}}"
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _connection() -> Any:
    """This thread's one, kept open, in autocommit."""
    if not hasattr(_local, "connection"):
        _local.connection = psycopg2.connect(DSN)
        _local.connection.autocommit = True
    return _local.connection
