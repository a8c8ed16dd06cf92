"""How every process here logs: one JSON object per line on stderr, with a call's ``extra`` at its top level."""

from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter


def logging_config(level: str, formatter: type[JsonFormatter]) -> dict[str, Any]:
    """The dictionary for ``logging.config.dictConfig``. All loggers, Django's too, use the root's one handler."""
    quiet = {"handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": formatter,
                "fmt": "%(levelname)s %(name)s %(message)s",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "timestamp": "time",
                # Django adds the request object, which says nothing as text; Python 3.12 adds taskName.
                "reserved_attrs": [*RESERVED_ATTRS, "request", "taskName"],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            "django": {**quiet, "level": level},
            "django.request": {**quiet, "level": "ERROR"},  # a client's 404 is not worth logging
            "django.security.DisallowedHost": {**quiet, "level": "CRITICAL"},
            # Celery logs two lines for each task; a job's own transitions say more.
            "celery.worker.strategy": {**quiet, "level": "WARNING"},
            "celery.app.trace": {**quiet, "level": "WARNING"},
            # Its INFO lines hold a WebSocket's whole URL, and with it the token of a front end.
            "uvicorn.error": {**quiet, "level": "WARNING"},
            "uvicorn.access": {**quiet, "level": "WARNING"},
            "gunicorn.error": {**quiet, "level": level},
            "gunicorn.access": {**quiet, "level": "WARNING"},  # clients poll once a second; a proxy logs them better
        },
    }
