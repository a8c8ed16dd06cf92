"""The table on the terminal, and the same as JSON beside it."""

import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import Line, Spread

PACKAGES = (
    "Django", "djangorestframework", "django-rest-knox", "celery", "kombu", "amqp", "django-celery-beat",
    "django-celery-results", "psycopg2-binary", "gunicorn", "orjson", "nornir", "napalm",
)  # fmt: skip


def machine(services: dict[str, str]) -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "load_before": [round(load, 2) for load in psutil.getloadavg()],
        "python": sys.version.split()[0],
        "commit": _commit(),
        **services,
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    git = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return git.stdout.strip() or "unknown"


def print_machine(facts: dict[str, Any]) -> None:
    print("; ".join(f"{name} {value}" for name, value in facts.items()), flush=True)


HEADER = ("what", "ours: min / median / max", "baseline: min / median / max", "ratio", "to reach", "")


def rows_of(lines: Iterable[Line]) -> list[tuple[str, ...]]:
    return [_cells(line) for line in lines]


def _cells(line: Line) -> tuple[str, ...]:
    sign = "≥" if line.better == "higher" else "≤"
    bound = (
        ""
        if line.target is None
        else f"{sign} {line.target:g}{' ×' if line.baseline and not line.absolute else ' ' + line.unit}"
    )
    verdict = {None: "", True: "yes", False: "NO"}[line.reached]
    what = f"{line.what} ({line.unit})" + (f"; against {line.against}" if line.against else "")
    return (
        what,
        _spread(line.ours),
        _spread(line.baseline) if line.baseline else "",
        "" if line.ratio is None else f"{line.ratio:.2f} ×",
        bound,
        verdict,
    )


def _spread(values: Spread) -> str:
    return " / ".join(map(_number, (values.low, values.median, values.high)))


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


def print_table(name: str, lines: Sequence[Line], seconds: float) -> None:
    print(f"\n## {name} ({seconds:.0f} s)\n")
    print("| " + " | ".join(HEADER) + " |")
    print("|" + "---|" * len(HEADER))
    for cells in rows_of(lines):
        print("| " + " | ".join(cells) + " |")
    for line in lines:
        if line.note:
            print(f"- {line.what}: {line.note}")
    sys.stdout.flush()


def write_json(path: Path, facts: dict[str, Any], results: dict[str, list[Line]]) -> None:
    rows = {name: [line.as_json() for line in lines] for name, lines in results.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1, ensure_ascii=False) + "\n")
