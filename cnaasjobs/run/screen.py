"""The words of ``make run`` on the terminal: where everything is, and what to try. Nothing here asks or decides."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from cnaasjobs.run.api import Api
from cnaasjobs.run.config import Config
from cnaasjobs.terminal import console_on

LONGEST: Final = 120  # columns that are read at a glance


def width() -> int:
    return min(console_on(sys.stdout).width, LONGEST)


def drawn(what: RenderableType, *, wrapped: bool = True) -> str:
    """Text, with colours if it goes to a terminal. Not wrapped, an address can be copied whole."""
    console = console_on(sys.stdout)
    console.width = min(console.width, LONGEST)
    with console.capture() as captured:
        console.print(what, soft_wrap=not wrapped)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())


def addresses(config: Config, url: str, report: Mapping[str, Any]) -> str:
    """What answers where, who may sign in, and where things are kept."""
    kept = config.state_dir
    rows = {
        "Console": f"{url}/",
        "Admin": f"{url}/admin/",
        "Sign in as": _credentials(report["admin"]),
        "API": f"{url}/api/v1.0/docs",
        "Token": _token(report["token"], kept),
        "Database": "DATABASE_URL" if config.database_url else f"SQLite in {kept}",
        "Broker": "CELERY_BROKER_URL" if config.broker_url else f"embedded, in {kept}",
        "Inventory": config.nornir_config or "the built-in lab (NORNIR_CONFIG names your own)",
        "Logs": f"{kept / 'log'}",
    }
    text = Text()
    for name, value in rows.items():
        if value:
            text.append(f"{name:<12}", style="dim")
            text.append(f"{value}\n", style="bold" if value.startswith(url) else "")
    return drawn(text, wrapped=False)


def _credentials(admin: Mapping[str, Any]) -> str:
    if admin["is_new"]:
        how = f"password {admin['password']} (kept in {admin['file']})"
    else:
        how = f"password in {admin['file']}" if admin["password"] else "with the password that was set"
    return f"{admin['name']}, {how}"


def _token(token: str | None, kept: Path) -> str:
    return f"{token} (as `Authorization: Bearer …`; kept in {kept / 'token'})" if token else ""


def to_try(api: Api, *, hostname: str | None, is_lab: bool) -> str:
    """Lines for another terminal. Only on the lab's devices does one of them change anything."""
    what = json.dumps({"hostname": hostname, "dry_run": not is_lab} if hostname else {"all": True})
    lines = [
        api.curl("/api/v1.0/jobs"),
        api.curl("/api/v1.0/device_syncto", "-X POST", f"-d {quote(what)}", '-H "Content-Type: application/json"'),
        api.curl("/api/v1.0/joblocks"),
    ]
    return "\n".join(["To try, in another terminal:", *(f"  {line}" for line in lines)])
