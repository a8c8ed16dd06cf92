"""How the web server runs:

``gunicorn cnaasjobs.wsgi`` in this directory reads it; command-line options take precedence.
"""

import json
import os
import sys

from gunicorn import util

from cnaasjobs.conf import WrongSettings, conf, from_environment
from cnaasjobs.logs import logging_config
from cnaasjobs.masked_logs import MaskedJsonFormatter
from cnaasjobs.web.files import connections_for

try:
    start, _ = from_environment(os.environ)
except WrongSettings as exc:
    sys.exit(str(exc))

worker_class = "cnaasjobs.web.worker.PatientWorker"  # threads: requests wait for the database, not for the processor
# The project is loaded once: the processes that answer are forked then, begin at once, and share its memory.
preload_app = True
workers = start.web_workers
threads = start.web_threads
worker_connections = connections_for(threads)  # of each
limit_request_line = 8190  # a filter with a long list
# Clients' own forwarding headers are not trusted: CNAASJOBS_PROXY_SSL_HEADER names the one that the proxy sets.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True  # one path in the home directory, for any number of servers
logconfig_dict = logging_config(start.log_level, MaskedJsonFormatter)
logger_class = "cnaasjobs.web.logger.QuietLogger"


def on_starting(server: object) -> None:
    """The project is loaded, nobody is answered yet."""
    from cnaasjobs.checks import unimportable_jobs
    from cnaasjobs.startup import problems

    if wrong := [*problems(), *unimportable_jobs()]:
        sys.exit("\n".join(wrong))
    if not conf.dev:  # there a start is to be quick
        from cnaasjobs.read_ahead import read_ahead

        read_ahead()


def _write_error(sock: object, status_int: int, reason: str, mesg: str) -> None:
    """Answers what is not HTTP in the API's envelope; gunicorn's own answer is an HTML page that can't be changed."""
    body = json.dumps({"status": "error", "message": mesg or reason}).encode()
    head = f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin1") + body)


util.write_error = _write_error
