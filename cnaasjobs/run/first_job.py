"""The dry run of the first start, done as a client would: scheduled and followed over HTTP, shown as by ``curl``."""

import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

POLL_SECONDS = 0.3
LINE_SECONDS = 10.0  # without a terminal: how often a line shows the progress
MAX_SHOWN_CHARACTERS = 100_000
ENDED = {"FINISHED", "EXCEPTION"}

Say = Callable[[str], None]


class Api:
    """The API of the platform that was just started."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self.token = token

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, str, int]:
        """Status, text, and X-Total-Count (0 if there is none). Status 0 if there was no answer."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self.token}"} if self.token else {}
        )
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310  (http, from us)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return response.status, response.read().decode(), int(response.headers.get("X-Total-Count") or 0)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), 0
        except (OSError, ValueError):
            return 0, "", 0

    def curl(self, path: str, *options: str) -> str:
        """The curl command line for the same call."""
        address = f"{self.url}{path}"
        parts = ["curl", f'"{address}"' if "?" in path else address, *options]
        if self.token:
            parts.append(f'-H "Authorization: Bearer {self.token}"')
        return " ".join(parts)


def run(api: Api, *, say: Say, stopping: threading.Event) -> None:
    """Schedules the job, waits for its end, and prints it and what to try next."""
    say("First start: a dry run of every device of the inventory (POST /api/v1.0/device_syncto)")
    status, text, devices = api.call("POST", "/api/v1.0/device_syncto", {"all": True, "comment": "first start"})
    if status != 200:
        say(f"It was not scheduled: {_message(text) or 'the web server did not answer'}")
    else:
        job_id = int(json.loads(text)["job_id"])
        if not _follow(api, job_id, devices, say, stopping):
            return
        path = f"/api/v1.0/job/{job_id}"
        say("\n" + api.curl(path))
        shown = api.call("GET", path)[1].strip()
        say(
            shown
            if len(shown) <= MAX_SHOWN_CHARACTERS
            else f"{shown[:MAX_SHOWN_CHARACTERS]}… ({len(shown)} characters)"
        )
    say("\n" + to_try(api))


def to_try(api: Api) -> str:
    lines = [
        api.curl("/api/v1.0/jobs"),
        api.curl("/api/v1.0/jobs?per_page=50&page=2"),
        api.curl("/api/v1.0/joblocks"),
        api.curl(
            "/api/v1.0/joblocks", "-X DELETE", """-d '{"name": "devices"}'""", '-H "Content-Type: application/json"'
        ),
    ]
    return "\n".join(["To try:", *(f"  {line}" for line in lines)])


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200]


def _follow(api: Api, job_id: int, devices: int, say: Say, stopping: threading.Event) -> bool:
    """Shows how far the job is until it has ended; False when the platform is being stopped."""
    console = Console()
    columns = (TextColumn("job {task.fields[job_id]} {task.fields[status]:<9}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TextColumn("devices"), TimeElapsedColumn(), console=console, disable=not sys.stdout.isatty()
    ) as progress:
        bar = progress.add_task("", total=devices or None, job_id=job_id, status="SCHEDULED")
        waited, told = 0.0, 0.0
        while not stopping.wait(POLL_SECONDS):
            waited += POLL_SECONDS
            status, text, _ = api.call("GET", f"/api/v1.0/job/{job_id}")
            if status != 200:
                continue
            job = json.loads(text)["data"]["jobs"][0]
            done = len(job["finished_devices"] or [])
            progress.update(bar, completed=done, status=job["status"])
            is_ended = job["status"] in ENDED
            if progress.disable and (is_ended or waited - told >= LINE_SECONDS):
                told = waited
                say(f"job {job_id} {job['status']} {done}/{devices} devices")
            if is_ended:
                return True
    return False
