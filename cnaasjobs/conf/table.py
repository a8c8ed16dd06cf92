"""Every variable of the environment: its name, type, default, bounds and meaning. docs/settings.md shows this table."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cnaasjobs.conf import parsing
from cnaasjobs.conf.variables import (
    Choice,
    Flag,
    Location,
    LocationOrNone,
    Parsed,
    Real,
    RealOrNone,
    Table,
    Texts,
    Whole,
    WrongSettings,
)

ROOT: Final = Path(__file__).resolve().parents[2]
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_HOUR, _DAY, _YEAR = 3600, 86_400, 31_536_000


class Start(Table):
    """Read once, when a process starts: for Django, Celery and gunicorn."""

    secret_key = Parsed(
        "development-only-not-a-secret",
        str,
        "Django's secret key; the same on all machines",
        name="SECRET_KEY",
        required=True,
    )
    secret_key_fallbacks = Texts("former values of `SECRET_KEY`, comma-separated")
    database: Parsed[dict[str, Any] | None] = Parsed(
        None,
        parsing.database,
        "`postgres://user:password@host/name`",
        name="DATABASE_URL",
        shown="in development SQLite in the state directory",
        required=True,
    )
    broker = Parsed(
        "",
        parsing.brokers,
        "`amqp://user:password@host//` or `redis://host/0`; several, separated by `;`, are tried in turn",
        name="CELERY_BROKER_URL",
        shown="in development the embedded broker",
        required=True,
    )
    allowed_hosts = Texts(
        "host names of the web server, comma-separated",
        item=parsing.host,
        default=("*",),
        name="ALLOWED_HOSTS",
        required=True,
    )
    apps = Texts("Django apps with jobs of your own, comma-separated", item=parsing.app)
    proxy_ssl_header = Parsed(
        "", parsing.header, "the header in which the proxy says that the client used TLS, such as `X-Forwarded-Proto`"
    )
    csrf_trusted_origins = Texts(
        "origins of the admin behind a proxy, such as `https://jobs.example.org`", item=parsing.origin_or_subdomains
    )
    hsts_seconds = Whole(0, 0, 10 * _YEAR, "Strict-Transport-Security, if the proxy does not send it")
    web_workers = Whole(2, 1, 256, "gunicorn's processes")
    web_threads = Whole(8, 1, 256, "threads in each of them")
    remote_control = Flag(
        False, "`1`: workers answer `celery inspect` and obey `celery control` from anybody who can write to the broker"
    )
    quorum_queues = Flag(
        False,
        "`1`: new queues are quorum queues, before RabbitMQ 4.3 with few priorities or none; see production.md",
    )
    log_level = Choice("INFO", LEVELS, "level of the JSON logs of all processes")


class Conf(Table):
    """Settings that the platform reads while it runs."""

    dev = Flag(False, "`1`: development; `make run` sets it")
    state_dir = Location(
        ROOT / "state", "directory for the files of `make run` and the lab devices' configurations", shown="`./state`"
    )
    nornir_config = Location(
        ROOT / "devices/lab/config.yml",
        "Nornir's configuration file, which names the inventory",
        name="NORNIR_CONFIG",
        shown="the shipped lab",
    )
    templates = Location(
        ROOT / "devices/lab/templates",
        "directory of `<platform>/mapping.yml` and Jinja2 templates",
        shown="the shipped lab's",
    )
    first_run = Flag(
        True, "`0`: `make run` skips the dry run of the inventory with which it begins while there are no jobs"
    )

    # --- Web ---
    require_token = Flag(False, "`1`: require tokens in development too", shown="`0` in development")
    cors_origins = Texts("origins of web front ends, comma-separated", item=parsing.origin)
    trusted_proxies = Texts("proxies (addresses or networks) whose X-Forwarded-For is trusted", item=parsing.network)

    read_seconds = Real(
        5.0, 0.1, 600, "how long one statement of a request may take on PostgreSQL; a longer one is answered 503"
    )
    page_max_mb = Real(64.0, 0.1, 10_000, "results beyond this total size are left out of a page, which says so")
    waiting_per_user = Whole(
        1000, 1, 10_000_000, "how many jobs of one user may wait at once; one more is answered 429"
    )
    token_days = Whole(365, 1, 36_500, "how long an API token lasts if it is created without an expiry date")

    # --- Identity ---
    jwt_issuer = Parsed(
        "", parsing.url, "the identity provider whose JWTs are accepted, exactly as their `iss` names it"
    )
    jwt_audience = Parsed("", str, "what the `aud` of these JWTs must contain: the name of this API at the provider")
    jwt_keys_url = Parsed("", parsing.url, "where the provider publishes its keys (JWKS)")
    jwt_keys_file = LocationOrNone(None, "or a file with the provider's public keys: PEM or JWKS")
    jwt_algorithms = Texts(
        "which signature algorithms these JWTs may use", item=parsing.algorithm, default=parsing.ALGORITHMS
    )
    jwt_leeway_seconds = Real(10.0, 0, 300, "how far the provider's clock may differ from ours")
    jwt_cooldown_seconds = Real(
        30.0, 5, _HOUR, "minimum time between two fetches of the keys, whatever key a JWT names"
    )
    jwt_name_claim = Parsed("preferred_username", str, "the claim with the person's name", shown="`preferred_username`")
    jwt_groups_claim = Parsed(
        "groups",
        str,
        "the claim with their groups: a list, or words separated by spaces as in `scope`",
        shown="`groups`",
    )
    jwt_groups: Parsed[dict[str, str]] = Parsed(
        {},
        parsing.group_map,
        'which of our groups each value of that claim stands for: JSON such as `{"netops": "operator"}`',
    )
    jwt_login = Flag(False, "`1`: `POST /auth` issues JWTs of our own for a user's name and password")
    jwt_login_key_file = LocationOrNone(
        None,
        "the private key (PEM, EC P-256) that signs them; the same on all machines",
        shown="`make run` creates one",
    )
    jwt_login_minutes = Whole(15, 5, 1440, "how long such a JWT lasts")
    jwt_login_hours = Real(12.0, 0.1, 8760, "how long it can be refreshed before the password is asked for again")

    oidc_client_id = Parsed(
        "", str, "our client ID at the provider, for people who sign in with a browser; none: they can't"
    )
    oidc_client_secret = Parsed("", str, "our client secret there")
    oidc_authorization_url = Parsed("", parsing.url, "the provider's authorization endpoint, where people sign in")
    oidc_token_url = Parsed("", parsing.url, "the provider's token endpoint")
    oidc_scopes = Parsed(
        "openid profile", str, "the scopes that we request; they must include `openid`", shown="`openid profile`"
    )
    oidc_hours = Real(12.0, 0.1, 8760, "how long such a sign-in lasts before the provider is asked again")

    # --- Jobs ---
    lock_wait_seconds = Whole(_DAY, 1, 10 * _YEAR, "how long a job waits in line for its lock at most")
    approval_seconds = Whole(_DAY, 1, _YEAR, "how long a job waits for approval; then it ends as ApprovalExpired")
    result_max_mb = Real(
        256.0,
        0.001,
        900,
        "a job with a larger result ends in EXCEPTION; a device with a larger report fails",
    )
    report_seconds = Real(0.25, 0.01, 60, "how often a process stores the devices of a job that are done, at most")
    progress_seconds = Real(2.0, 0.01, 60, "how often `finished_devices` of a job is updated, at most")
    job_log_level = Choice("INFO", LEVELS, "what a job's code logs at this level and above is kept with the job")
    shutdown_grace_seconds = Real(60.0, 0, _DAY, "how long jobs may continue after SIGTERM before they are stopped")
    retention_finished_days = RealOrNone(None, 0.001, 36_500, "FINISHED jobs older than this are pruned", shown="keep")
    retention_exception_days = RealOrNone(
        None, 0.001, 36_500, "EXCEPTION jobs older than this are pruned", shown="keep"
    )

    # --- Reliability ---
    heartbeat_seconds = Real(2.0, 0.01, 60, "how often a worker and a Beat write their heartbeat")
    worker_lost_seconds = Real(
        30.0, 0.1, _HOUR, "a worker whose heartbeat has not changed for this long counts as lost"
    )
    publish_timeout_seconds = Real(0.7, 0.05, 60, "how long a broker may take to confirm a message")
    publish_pause_seconds = Real(2.0, 0, _HOUR, "how long a process waits before it tries a failed broker again")
    beat_max_sleep_seconds = Real(0.1, 0.01, 60, "how often Beat looks for due jobs on SQLite, where it cannot LISTEN")
    upkeep_seconds = Real(2.0, 0.01, 600, "pause between two rounds of upkeep")
    republish_after_seconds = Real(10.0, 0.1, _DAY, "a message that has been missing for this long is sent again")
    unserved_after_seconds = Real(
        60.0,
        0,
        _DAY,
        "a job that is due for this long on a queue that no worker serves is reported in the log and the admin",
    )
    unknown_task_seconds = Real(
        60.0,
        0,
        _DAY,
        "a job that workers have refused for this long, because they do not know its function, ends as `UnknownTask`",
    )

    plain_tasks = Texts(
        "Celery tasks that workers may run although they are not jobs; never `celery.*`", item=parsing.plain_task
    )

    # --- Devices ---
    approval_score = RealOrNone(
        None, 0, 100, "a live sync waits for approval if its plan scored above this, or if it has no plan", shown="off"
    )
    confirm_mode = Whole(1, 0, 2, "0 commit, 1 confirm each device, 2 all devices or none")
    confirm_minutes = Whole(5, 1, 120, "an unconfirmed commit reverts after this time")  # IOS can do 120 at most
    lines_left_out: Parsed[dict[str, re.Pattern[str]]] = Parsed(
        {},
        parsing.patterns,
        "lines of a running configuration that never count as a change from outside: JSON, a regular "
        'expression for each platform, such as `{"ios": "^ntp clock-period "}`',
    )
    inventory_cache_seconds = Real(60.0, 0, _DAY, "how long an inventory that does not come from files is cached")
    sync_time_limit_seconds = Whole(6 * _HOUR, 1, 30 * _DAY, "how long a sync may run before it is stopped")
    sync_helpers = Whole(8, 0, 1000, "how many additional processes of idle workers may help with one sync")
    plan_max_age_seconds = Whole(_DAY, 1, 10 * _YEAR, "how old a dry run may be that a live run uses as its `plan`")
    device_seconds = Real(600.0, 1, _DAY, "how long one step on a device may take, such as connecting or a commit")
    render_seconds = Real(20.0, 0.1, _HOUR, "how long rendering one device's configuration may take")
    render_memory_mb = Whole(512, 128, 65_536, "how much memory a rendering process may use")
    render_output_mb = Whole(16, 1, 1024, "how large one device's configuration may be")


def from_environment(environ: Mapping[str, str]) -> tuple[Start, dict[str, Any]]:
    """What to start with, and the values of ``Conf`` by name.

    Raises WrongSettings, which lists everything that is wrong.
    """
    try:
        is_production = not Conf.dev.read(environ.get(Conf.dev.name, "").strip() or "0")
    except ValueError:
        is_production = True  # reading the table reports what is wrong with it
    start, wrong = Start.read(environ, production=is_production)
    values, also_wrong = Conf.read(environ, production=is_production)
    if wrong or also_wrong:
        raise WrongSettings([*wrong, *also_wrong])
    return Start(start.__getitem__), values
