"""Who may do what, in words. A line for each thing that there is; a new one needs its line here.

``{…}`` in a path is filled with the thing of that name in ``tests.permissions.things``.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tests.permissions.who import (
    ADMINISTER,
    ALL,
    KNOWN,
    NO_ONE,
    OPERATE,
    OPERATE_ANYWHERE,
    READ,
    ROOT,
)


class Row(NamedTuple):
    method: str
    route: str
    may: frozenset[str]
    path: str = ""  # where it is not the route
    body: Mapping[str, Any] | None = None


# --- the API: by token and JWT; a session is no credential there ------------------------------------------------------

SYNC = {"dry_run": True}
TO_HOST = "api/v1.0/device_syncto/hostname"
ABORT = {"action": "ABORT"}

OF_API: Final = (
    Row("GET", "api/v1.0/schema", ALL),
    Row("GET", "api/v1.0/docs", ALL),
    Row("GET", "api/v1.0/job", KNOWN),  # 405, for who is known
    Row("POST", "api/v1.0/auth", NO_ONE),  # a name and a password, and no bearer: tests/identity/test_login.py
    Row("GET", "api/v1.0/auth/identity", KNOWN),
    Row("GET", "api/v1.0/auth/permissions", KNOWN),
    Row("GET", "api/v1.0/jobs", READ),
    Row("GET", "api/v1.0/job/{job_id}", READ),
    Row("PUT", "api/v1.0/job/{job_id}", OPERATE, "api/v1.0/job/{job_inside}", ABORT),
    Row("PUT", "api/v1.0/job/{job_id}", OPERATE_ANYWHERE, "api/v1.0/job/{job_outside}", ABORT),
    Row("PUT", "api/v1.0/job/{job_id}", ADMINISTER, "api/v1.0/job/{job_inside}", {"action": "APPROVE"}),
    Row("PUT", "api/v1.0/job/{job_id}", ADMINISTER, "api/v1.0/job/{job_inside}", {"action": "REJECT"}),
    Row("GET", "api/v1.0/job/{job_id}/log", READ),
    Row("GET", "api/v1.0/job/{job_id}/devices", READ),
    Row("GET", "api/v1.0/job/{job_id}/devices/{hostname}", READ),
    Row("GET", "api/v1.0/job/{job_id}/waiting", READ),
    Row("GET", "api/v1.0/locks", READ),
    Row("GET", "api/v1.0/joblocks", READ),
    Row("DELETE", "api/v1.0/joblocks", ADMINISTER, body={"name": "devices"}),
    Row("GET", "api/v1.0/device/{hostname}/jobs", READ),
    Row("GET", "api/v1.0/device/{hostname}", READ),
    Row("GET", "api/v1.0/devices", READ),
    Row("GET", "api/v1.0/device_synchistory", READ),
    Row("GET", "api/v1.0/groups", READ),
    Row("GET", "api/v1.0/groups/{group}", READ),
    Row("GET", "api/v1.0/mgmtdomains", READ),
    Row("GET", "api/v1.0/settings/server", READ),
    Row("GET", "api/v1.0/system/version", READ),
    Row("GET", "api/v1.0/repository/{name}", READ),
    Row("PUT", "api/v1.0/repository/{name}", OPERATE, body={"action": "REFRESH"}),
    Row("POST", "api/v1.0/device_syncto", OPERATE, body={"hostname": "eosaccess1", **SYNC}),
    Row("POST", "api/v1.0/device_syncto", OPERATE_ANYWHERE, body={"hostname": "core1", **SYNC}),
    Row("POST", "api/v1.0/device_syncto", OPERATE_ANYWHERE, body={"all": True, **SYNC}),
    Row("POST", f"{TO_HOST}/{{hostname}}", OPERATE, body=SYNC),
    Row(
        "POST",
        f"{TO_HOST}/{{hostname}}",
        OPERATE_ANYWHERE,
        "api/v1.0/device_syncto/hostname/core1",
        SYNC,
    ),
    Row("GET", "metrics", READ),
)

REFRESH: Final = Row("POST", "api/v1.0/auth/refresh", KNOWN)  # with a JWT of our own, and nothing else

# --- live events ------------------------------------------------------------------------------------------------------

OF_LIVE: Final = {"/api/v1.0/events": READ, "/api/v1.0/events/": READ, "/socket.io": READ}

# --- the console: by session; a program's credentials are none there --------------------------------------------------

OF_CONSOLE: Final = (
    Row("GET", "", ALL),  # leads to the jobs
    Row("GET", "sign-in", ALL),
    Row("POST", "sign-in", ALL, body={}),
    Row("GET", "sign-in/provider", ALL),  # 404 where it is off
    Row("GET", "sign-in/provider/back", ALL),
    Row("POST", "sign-out", ALL),
    Row("GET", "jobs", READ),
    Row("GET", "jobs/rows", READ),
    Row("GET", "jobs/{job_id}", READ),
    Row("GET", "jobs/{job_id}/raw", READ),
    Row("GET", "jobs/{job_id}/devices.csv", READ),
    Row("GET", "jobs/{job_id}/diff", READ),
    Row("GET", "jobs/{job_id}/log", READ),
    Row("GET", "jobs/{job_id}/devices/{host}", READ),
    Row("GET", "devices", READ),
    Row("GET", "devices/{name}", READ, "devices/eosaccess1"),
    Row("GET", "jobs/abort", OPERATE),
    Row("POST", "jobs/abort", OPERATE, body={"ids": "{job_inside}"}),
    Row("GET", "jobs/failed", OPERATE),
    Row("POST", "jobs/failed", OPERATE, body={"ids": ""}),
    Row("GET", "jobs/{job_id}/run/{kind}", OPERATE),
    Row("POST", "jobs/{job_id}/run/{kind}", OPERATE, body={}),
    Row("GET", "jobs/{job_id}/approve", ADMINISTER),
    Row("POST", "jobs/{job_id}/approve", ADMINISTER, body={}),
    Row("GET", "locks", READ),
    Row("GET", "locks/clear", ADMINISTER),
    Row("POST", "locks/clear", ADMINISTER, body={"name": "", "fence": ""}),
    Row("GET", "timeline", READ),
    Row("GET", "schedules", READ),
    Row("GET", "schedules/{schedule_id}/run", OPERATE),
    Row("POST", "schedules/{schedule_id}/run", OPERATE, body={}),
    Row("GET", "workers", READ),
)

# --- the admin: by session, for who has staff status ------------------------------------------------------------------


class Model(NamedTuple):
    """Who may open the pages of a model in the admin, and who may send their forms."""

    see: frozenset[str]
    add: frozenset[str] = NO_ONE
    change: frozenset[str] = NO_ONE
    delete: frozenset[str] = NO_ONE


ADMINISTERED: Final = {"add": ADMINISTER, "change": ADMINISTER, "delete": ADMINISTER}

OF_MODELS: Final = {
    "jobs/job": Model(READ),
    "jobs/heartbeat": Model(READ),
    "jobs/auditentry": Model(READ),
    "jobs/groupscope": Model(ROOT, ROOT, ROOT, ROOT),
    "locks/lock": Model(READ),
    "django_celery_beat/periodictask": Model(READ, **ADMINISTERED),
    "django_celery_beat/crontabschedule": Model(READ, **ADMINISTERED),
    "django_celery_beat/intervalschedule": Model(READ, **ADMINISTERED),
    "django_celery_beat/clockedschedule": Model(READ, **ADMINISTERED),
    "django_celery_beat/solarschedule": Model(READ, **ADMINISTERED),
    "django_celery_results/taskresult": Model(READ, NO_ONE, ROOT, ROOT),
    "django_celery_results/groupresult": Model(ROOT, NO_ONE, ROOT, ROOT),
    "knox/authtoken": Model(ADMINISTER, ADMINISTER, NO_ONE, ADMINISTER),
    "auth/user": Model(ADMINISTER, ADMINISTER, ADMINISTER, ROOT),
    "auth/group": Model(ADMINISTER, ROOT, ROOT, ROOT),
}

USERS = "?app_label=knox&model_name=authtoken&field_name=user"

OF_ADMIN: Final = (
    Row("GET", "admin", ALL),  # leads to the next
    Row("GET", "admin/", KNOWN),
    Row("GET", "admin/login/", ALL),
    Row("POST", "admin/logout/", ALL),
    Row("GET", "admin/password_change/", KNOWN),
    Row("GET", "admin/password_change/done/", KNOWN),
    Row(
        "GET",
        "admin/autocomplete/",
        ADMINISTER,
        "admin/autocomplete/?app_label=knox&model_name=authtoken&field_name=user",
    ),
    Row("GET", "admin/jsi18n/", KNOWN),
    Row("GET", "admin/r/{content_type_id}/{object_id}/", KNOWN, "admin/r/1/1/"),
    Row("GET", "admin/{url}", KNOWN, "admin/nothing"),
    Row("GET", "admin/locks/lock/clear/", ADMINISTER, "admin/locks/lock/clear/?ids={lock}"),
    Row("GET", "admin/jobs/job/abort/", OPERATE, "admin/jobs/job/abort/?ids={job_inside}"),
    Row("GET", "admin/jobs/job/approve/", ADMINISTER, "admin/jobs/job/approve/?ids={job_inside}"),
    Row("GET", "admin/jobs/job/{job_id}/result/", READ),
    Row("GET", "admin/auth/user/{id}/password/", ADMINISTER),
)

# --- the command line: whoever has the shell is trusted with everything (docs/security.md) ----------------------------

COMMANDS: Final = {"audit", "check", "jobs", "locks", "token"}
