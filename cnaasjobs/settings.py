"""Settings: the one door for configuration. Every value comes from the environment, typed, with its unit in its name.

Without ``CNAASJOBS_DEV=1`` these are production's: no default secret, no default database, credentials required.
All variables are listed in ``docs/settings.md``.
"""

from pathlib import Path
from typing import Any

import environ

from cnaasjobs import embedded
from cnaasjobs.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DEV = env.bool("CNAASJOBS_DEV", default=False)
STATE_DIR = Path(env.str("CNAASJOBS_STATE_DIR", default=str(BASE_DIR / "state"))).resolve()

if DEV:
    SECRET_KEY = env.str("SECRET_KEY", default="development-only-not-a-secret")
    _embedded_database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(embedded.database_path(STATE_DIR))}
    _database: dict[str, Any] = env.db("DATABASE_URL") if "DATABASE_URL" in env.ENVIRON else _embedded_database
    CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=embedded.broker_url(STATE_DIR))
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"])
else:
    SECRET_KEY = env.str("SECRET_KEY")
    _database = env.db("DATABASE_URL")
    CELERY_BROKER_URL = env.str("CELERY_BROKER_URL")
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")

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
    # A server that vanished without a word: TCP gives it up after 15 s. One that is frozen answers TCP all the same;
    # cnaasjobs.db.bounded_waits bounds that wait in the web server.
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
    "knox",
    "django_celery_results",
    "django_celery_beat",
    "locks",
    "jobs",
    "devices",
    *env.list("CNAASJOBS_APPS", default=[]),  # a site's own jobs
]

# --- The web --------------------------------------------------------------------------------------------------------
MIDDLEWARE = [
    "jobs.api.health.HealthMiddleware",  # first: needs no Host, no credentials, nothing of the rest
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # before all that may answer with an error: errors carry its headers too
    "cnaasjobs.api.middleware.ApiGuard",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "cnaasjobs" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTHENTICATION_BACKENDS = ["cnaasjobs.api.permissions.OneQueryBackend"]
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
WHITENOISE_USE_FINDERS = True  # served from the packages themselves: no collectstatic, gunicorn alone is enough

# In development on a loopback address tokens are not looked at; everywhere else they are required.
CNAASJOBS_REQUIRE_TOKEN = not DEV or env.bool("CNAASJOBS_REQUIRE_TOKEN", default=False)
# Proxies whose X-Forwarded-For is believed: addresses or networks. Only for the audit trail.
CNAASJOBS_TRUSTED_PROXIES = env.list("CNAASJOBS_TRUSTED_PROXIES", default=[])
CNAASJOBS_CORS_ORIGINS = [origin.rstrip("/") for origin in env.list("CNAASJOBS_CORS_ORIGINS", default=[])]

CORS_URLS_REGEX = r"^/api/"
CORS_ALLOWED_ORIGINS = CNAASJOBS_CORS_ORIGINS
CORS_ALLOW_CREDENTIALS = True
CORS_ALLOW_HEADERS = ["authorization", "content-type", "idempotency-key"]
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]
CORS_EXPOSE_HEADERS = ["X-Total-Count", "Link"]

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["cnaasjobs.api.envelope.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["cnaasjobs.api.body.StrictJSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["cnaasjobs.api.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["cnaasjobs.api.auth.HasPermission"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "cnaasjobs.api.envelope.AlwaysJSON",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "cnaasjobs.api.errors.exception_handler",
}
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": None}  # `manage.py token create --days` sets an end

# A proxy in front ends TLS. It alone may say so, by the header named here; it must remove the client's own.
if _proxy_header := env.str("CNAASJOBS_PROXY_SSL_HEADER", default=""):
    SECURE_PROXY_SSL_HEADER = ("HTTP_" + _proxy_header.upper().replace("-", "_"), "https")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEV
CSRF_TRUSTED_ORIGINS = env.list("CNAASJOBS_CSRF_TRUSTED_ORIGINS", default=[])
SECURE_HSTS_SECONDS = env.int("CNAASJOBS_HSTS_SECONDS", default=0)
SILENCED_SYSTEM_CHECKS = [
    # HSTS and the redirect to HTTPS belong to the proxy that ends TLS. A redirect from here would turn the POST and PUT
    # of a plain-HTTP client inside a closed network into a GET.
    "security.W004",
    "security.W005",
    "security.W008",
    "security.W021",
]

LOGGING = logging_config(env.str("CNAASJOBS_LOG_LEVEL", default="INFO"))

# --- Celery -----------------------------------------------------------------------------------------------------------
CELERY_RESULT_BACKEND = "django-db"  # for tasks that are not jobs; a job's row is its result
CELERY_RESULT_EXTENDED = True  # with the task's name, and the schedule's that started it
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "jobs.beat.scheduler:Scheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # without it one closed channel ends the worker
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False  # after a reconnect jobs.worker.window knows the free slots
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- The platform -----------------------------------------------------------------------------------------------------
CNAASJOBS_LOCK_WAIT_SECONDS = env.int("CNAASJOBS_LOCK_WAIT_SECONDS", default=86400)
CNAASJOBS_BEAT_MAX_SLEEP_SECONDS = env.float("CNAASJOBS_BEAT_MAX_SLEEP_SECONDS", default=0.1)
CNAASJOBS_HEARTBEAT_SECONDS = env.float("CNAASJOBS_HEARTBEAT_SECONDS", default=2.0)
CNAASJOBS_WORKER_LOST_SECONDS = env.float("CNAASJOBS_WORKER_LOST_SECONDS", default=30.0)
CNAASJOBS_SHUTDOWN_GRACE_SECONDS = env.float("CNAASJOBS_SHUTDOWN_GRACE_SECONDS", default=60.0)
CNAASJOBS_PROGRESS_SECONDS = env.float("CNAASJOBS_PROGRESS_SECONDS", default=2.0)
CNAASJOBS_PUBLISH_TIMEOUT_SECONDS = env.float("CNAASJOBS_PUBLISH_TIMEOUT_SECONDS", default=0.7)
CNAASJOBS_PUBLISH_PAUSE_SECONDS = env.float("CNAASJOBS_PUBLISH_PAUSE_SECONDS", default=2.0)

# --- Devices ----------------------------------------------------------------------------------------------------------
NORNIR_CONFIG = Path(env.str("NORNIR_CONFIG", default=str(BASE_DIR / "devices/lab/config.yml"))).resolve()
CNAASJOBS_TEMPLATES = Path(env.str("CNAASJOBS_TEMPLATES", default=str(BASE_DIR / "devices/lab/templates"))).resolve()
CNAASJOBS_INVENTORY_CACHE_SECONDS = env.float("CNAASJOBS_INVENTORY_CACHE_SECONDS", default=60.0)  # not for files
CNAASJOBS_CONFIRM_MODE = env.int("CNAASJOBS_CONFIRM_MODE", default=1)
CNAASJOBS_CONFIRM_MINUTES = env.int("CNAASJOBS_CONFIRM_MINUTES", default=5)
# Former values of SECRET_KEY: what is known of the devices is kept under it.
SECRET_KEY_FALLBACKS = env.list("CNAASJOBS_SECRET_KEY_FALLBACKS", default=[])

# --- Beat and upkeep --------------------------------------------------------------------------------------------------
CNAASJOBS_UPKEEP_SECONDS = env.float("CNAASJOBS_UPKEEP_SECONDS", default=2.0)
CNAASJOBS_REPUBLISH_AFTER_SECONDS = env.float("CNAASJOBS_REPUBLISH_AFTER_SECONDS", default=10.0)
CNAASJOBS_UNSERVED_AFTER_SECONDS = env.float("CNAASJOBS_UNSERVED_AFTER_SECONDS", default=60.0)
CNAASJOBS_UNKNOWN_TASK_SECONDS = env.float("CNAASJOBS_UNKNOWN_TASK_SECONDS", default=60.0)
CNAASJOBS_RETENTION_FINISHED_DAYS = env.float("CNAASJOBS_RETENTION_FINISHED_DAYS", default=None)  # unset: kept
CNAASJOBS_RETENTION_EXCEPTION_DAYS = env.float("CNAASJOBS_RETENTION_EXCEPTION_DAYS", default=None)
