"""gunicorn's logger without the work for an access log that is off."""

import logging

from gunicorn.glogging import Logger


class QuietLogger(Logger):
    """gunicorn looks only whether logging is configured, not how: it would describe each request, header by header, to
    a logger that writes none of it.
    """

    @property
    def access_log_enabled(self) -> bool:
        return self.access_log.isEnabledFor(logging.INFO) and bool(super().access_log_enabled)
