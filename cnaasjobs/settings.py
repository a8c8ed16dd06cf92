"""Settings: the one door for configuration. Every value comes from the environment, typed, with its unit in its name.

Without ``CNAASJOBS_DEV=1`` these are production's: no default secret, no default database, credentials required.
All variables are listed in ``docs/settings.md``.
"""

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

DEV = env.bool("CNAASJOBS_DEV", default=False)
STATE_DIR = Path(env.str("CNAASJOBS_STATE_DIR", default=str(BASE_DIR / "state"))).resolve()

if DEV:
    SECRET_KEY = env.str("SECRET_KEY", default="development-only-not-a-secret")
    DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{STATE_DIR}/db.sqlite3")}
    CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=f"redis+socket://{STATE_DIR}/broker.sock")
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"])
else:
    SECRET_KEY = env.str("SECRET_KEY")
    DATABASES = {"default": env.db("DATABASE_URL")}
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

DATABASES["default"].update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

INSTALLED_APPS = [
    "django.contrib.admin",
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
]

# --- Celery -----------------------------------------------------------------------------------------------------------
CELERY_RESULT_BACKEND = "django-db"  # for tasks that are not jobs; a job's row is its result
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "jobs.beat.scheduler:Scheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # without it one closed channel ends the worker
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- The platform -----------------------------------------------------------------------------------------------------
CNAASJOBS_LOCK_WAIT_SECONDS = env.int("CNAASJOBS_LOCK_WAIT_SECONDS", default=86400)
CNAASJOBS_BEAT_MAX_SLEEP_SECONDS = env.float("CNAASJOBS_BEAT_MAX_SLEEP_SECONDS", default=0.1)
CNAASJOBS_HEARTBEAT_SECONDS = env.float("CNAASJOBS_HEARTBEAT_SECONDS", default=2.0)
CNAASJOBS_WORKER_LOST_SECONDS = env.float("CNAASJOBS_WORKER_LOST_SECONDS", default=30.0)
CNAASJOBS_PROGRESS_SECONDS = env.float("CNAASJOBS_PROGRESS_SECONDS", default=2.0)
CNAASJOBS_PUBLISH_TIMEOUT_SECONDS = env.float("CNAASJOBS_PUBLISH_TIMEOUT_SECONDS", default=0.7)
CNAASJOBS_PUBLISH_PAUSE_SECONDS = env.float("CNAASJOBS_PUBLISH_PAUSE_SECONDS", default=2.0)
