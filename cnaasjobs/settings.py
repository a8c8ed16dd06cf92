"""Settings: the only entrance for configuration. Every value comes from the environment, typed, with its unit in its
name.

Without ``CNAASJOBS_DEV=1`` they are production's: no default secret, no default database, credentials required. All
variables are listed in ``docs/settings.md``.
"""

import os
from pathlib import Path
from typing import Any

from cnaasjobs import embedded
from cnaasjobs.conf import from_environment
from cnaasjobs.conf.parsing import broker_tls
from cnaasjobs.conf.table import ROOT
from cnaasjobs.logs import logging_config
from cnaasjobs.masked_logs import MaskedJsonFormatter
from cnaasjobs.version import VERSION
from jobs.schedulable import HIGHEST_PRIORITY

_start, _values = from_environment(os.environ)
globals().update(_values)  # CNAASJOBS_… and NORNIR_CONFIG: cnaasjobs.conf finds them here
CNAASJOBS_DEV: bool = _values["CNAASJOBS_DEV"]
CNAASJOBS_STATE_DIR: Path = _values["CNAASJOBS_STATE_DIR"]

# A command beside `make run` shares its database, and so its key: with another one it could not read what is keyed.
_kept_key = None if os.environ.get("SECRET_KEY") or not CNAASJOBS_DEV else embedded.secret_key(CNAASJOBS_STATE_DIR)
SECRET_KEY = _kept_key or _start.secret_key
# What is known about the devices is hashed with it, and must still be recognised after a change.
SECRET_KEY_FALLBACKS = _start.secret_key_fallbacks
ALLOWED_HOSTS = _start.allowed_hosts
CELERY_BROKER_URL = _start.broker or embedded.broker_url(CNAASJOBS_STATE_DIR)
if "CELERY_BROKER_URL" in os.environ:  # Celery looks there first, and would take the value as it is written
    os.environ["CELERY_BROKER_URL"] = CELERY_BROKER_URL
_database: dict[str, Any] = _start.database or {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(embedded.database_path(CNAASJOBS_STATE_DIR)),
}

DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
ROOT_URLCONF = "cnaasjobs.urls"
WSGI_APPLICATION = "cnaasjobs.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False

_database.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # A server that vanished silently is given up by TCP after 15 s. A frozen one still answers TCP;
    # cnaasjobs.db.bounded_waits limits that wait in the web server.
    _database["OPTIONS"] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 15_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        **_database.get("OPTIONS", {}),
    }
DATABASES = {"default": _database}

INSTALLED_APPS = [
    "cnaasjobs.apps.CnaasjobsAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular_sidecar",  # Swagger UI's own files
    "knox",
    "django_celery_results",
    "django_celery_beat",
    "cnaasjobs.identity",
    "locks",
    "jobs",
    "devices",
    "console",
    *_start.apps,  # a site's own jobs
]

# --- The web --------------------------------------------------------------------------------------------------------
MIDDLEWARE = [
    "jobs.api.health.HealthMiddleware",  # first: it needs no Host, no credentials, and no other middleware
    "django.middleware.security.SecurityMiddleware",
    "cnaasjobs.csp.ContentSecurityPolicyMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # before what may answer with an error, which then has its headers too
    "cnaasjobs.api.middleware.ShortRedirects",
    "cnaasjobs.api.middleware.RememberRequest",
    "cnaasjobs.api.middleware.ApiGuard",
    "cnaasjobs.static_files.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "cnaasjobs.api.middleware.DatabaseNotNow",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "cnaasjobs" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    },
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "APP_DIRS": True,
        "OPTIONS": {"environment": "console.jinja.environment"},
    },
]
AUTHENTICATION_BACKENDS = [
    "cnaasjobs.api.permissions.OneQueryBackend",
    *(["cnaasjobs.identity.sign_in.ProviderBackend"] if _values["CNAASJOBS_OIDC_CLIENT_ID"] else []),
]
LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "console:sign_in", "console:home", "console:sign_in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # served from the packages themselves, so that gunicorn is enough, without collectstatic

# For every page, the admin's too: everything comes from this server, and nothing inline runs.
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}

# In development on a loopback address tokens are ignored; everywhere else they are required.
CNAASJOBS_REQUIRE_TOKEN = not CNAASJOBS_DEV or _values["CNAASJOBS_REQUIRE_TOKEN"]

CORS_URLS_REGEX = r"^/api/"
CORS_ALLOWED_ORIGINS = _values["CNAASJOBS_CORS_ORIGINS"]
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key"]
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
CORS_EXPOSE_HEADERS = ["X-Total-Count", "Link"]

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["cnaasjobs.api.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cnaasjobs.api.body.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["cnaasjobs.identity.bearer.AnyBearer"],
    "DEFAULT_PERMISSION_CLASSES": ["cnaasjobs.api.auth.HasPermission"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "cnaasjobs.api.envelope.AlwaysJSON",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "cnaasjobs.api.spectacular.DescribedSchema",
    "EXCEPTION_HANDLER": "cnaasjobs.api.errors.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "cnaasjobs",
    "DESCRIPTION": "Jobs and locks for network automation.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.0",
    "PREPROCESSING_HOOKS": ["cnaasjobs.api.description.without_slash"],
    "POSTPROCESSING_HOOKS": ["cnaasjobs.api.description.with_components"],
}
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": None}  # `manage.py token create --days` sets an end

# A proxy in front terminates TLS. Only it may say so, in the header named here, and it must remove the client's own.
if _start.proxy_ssl_header:
    SECURE_PROXY_SSL_HEADER = (_start.proxy_ssl_header, "https")
SESSION_ENGINE = "cnaasjobs.identity.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not CNAASJOBS_DEV
CSRF_TRUSTED_ORIGINS = _start.csrf_trusted_origins
SECURE_HSTS_SECONDS = _start.hsts_seconds
SILENCED_SYSTEM_CHECKS = [
    # HSTS and the redirect to HTTPS are the job of the proxy that terminates TLS. A redirect from here would turn the
    # POST and PUT of a plain-HTTP client inside a closed network into a GET.
    "security.W004",
    "security.W005",
    "security.W008",
    "security.W021",
]

LOGGING = logging_config(_start.log_level, MaskedJsonFormatter)

# --- Celery -----------------------------------------------------------------------------------------------------------
CELERY_BROKER_USE_SSL = broker_tls(CELERY_BROKER_URL)
# For tasks that are not jobs; a job's row is its result.
CELERY_RESULT_BACKEND = "jobs.broker.plain_results.MaskedResults"
CELERY_RESULT_EXTENDED = True  # with the names of the task and of the schedule that started it
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_DEFAULT_QUEUE_TYPE = CELERY_TASK_CREATE_MISSING_QUEUE_TYPE = "quorum" if _start.quorum_queues else "classic"
# For Redis, which serves the lowest number first: one list for each priority. A message without a priority comes last,
# as with RabbitMQ.
CELERY_BROKER_TRANSPORT_OPTIONS = {"priority_steps": [*range(HIGHEST_PRIORITY + 1)]}
CELERY_TASK_DEFAULT_PRIORITY = HIGHEST_PRIORITY if CELERY_BROKER_URL.startswith("redis") else 0
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "jobs.beat.scheduler:Scheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker never gives up: nothing would restart it
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # otherwise one closed channel ends the worker
# A dead connection is noticed within 20 s by both sides. With Celery's 120 s, jobs would wait unnoticed for as long:
# the broker goes on sending their messages to a client that is gone.
CELERY_BROKER_HEARTBEAT = 10
CELERY_WORKER_CONSUMER = "jobs.worker.consumer:Consumer"
CELERY_WORKER_ENABLE_REMOTE_CONTROL = _start.remote_control
# Its mailbox is not exclusive: a broker that has not noticed a dead connection yet would refuse the next one. And it is
# durable: RabbitMQ is phasing out queues that are neither, and closes the connection of a client that declares one.
CELERY_CONTROL_QUEUE_EXCLUSIVE = CELERY_EVENT_QUEUE_EXCLUSIVE = False
CELERY_CONTROL_QUEUE_DURABLE = CELERY_EVENT_QUEUE_DURABLE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False  # after a reconnect jobs.worker.window knows the free slots
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
