"""How the web server runs: ``gunicorn cnaasjobs.wsgi`` in this directory takes it from here; its options go first."""

import json
import os
import subprocess
import sys

from gunicorn import util

from cnaasjobs.conf import WrongSettings, from_environment
from cnaasjobs.logs import logging_config
from cnaasjobs.masked_logs import MaskedJsonFormatter

try:
    start, _ = from_environment(os.environ)
except WrongSettings as exc:
    sys.exit(str(exc))

worker_class = "cnaasjobs.web.worker.PatientWorker"  # threads: requests wait for the database, not for the processor
workers = start.web_workers
threads = start.web_threads
worker_connections = 900  # of each: most systems give a process 1,024 files, and sockets to the database are some
limit_request_line = 8190  # a filter with a long list
# What a client says of where it came from is not believed: CNAASJOBS_PROXY_SSL_HEADER names what the proxy says.
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
control_socket_disable = True  # one path in the home directory, for any number of servers
logconfig_dict = logging_config(start.log_level, MaskedJsonFormatter)


def on_starting(server: object) -> None:
    """Gunicorn would start one worker after the other that refuses what it finds."""
    if subprocess.run([sys.executable, "-m", "cnaasjobs.startup"]).returncode != 0:
        sys.exit(1)


def _write_error(sock: object, status_int: int, reason: str, mesg: str) -> None:
    """Answers what is no HTTP in the API's envelope; gunicorn's own is an HTML page that cannot be configured."""
    body = json.dumps({"status": "error", "message": mesg or reason}).encode()
    head = f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin1") + body)


util.write_error = _write_error
