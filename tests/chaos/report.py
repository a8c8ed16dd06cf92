"""The table of a run."""

import platform as machine
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version

from tests.chaos.checks import Figures, Thresholds, Verdict
from tests.chaos.record import Record

_SHOWN = 5  # of each broken promise; the rest is counted


def table(record: Record, verdict: Verdict, thresholds: Thresholds, *, seed: int) -> str:
    figures = verdict.figures
    rows: list[tuple[str, object]] = [
        ("seed", seed),
        ("length", f"{record.until - record.since:.0f} s"),
        ("accepted", figures.accepted),
        ("  by POST / by schedule", f"{_by(record, 'http')} / {_by(record, 'schedule')}"),
        ("finished", figures.finished),
        *((f"exception {kind}", count) for kind, count in sorted(figures.exceptions.items())),
        ("lost", figures.lost),
        ("bodies begun", figures.attempts),
        ("run twice", figures.run_twice),
        ("device operations", figures.operations),
        ("overlapping holders", figures.overlapping),
        ("operations in hand that ended after the token was gone", figures.ended_after),
        ("rows of devices / participants", f"{figures.devices} / {figures.participants}"),
        ("stuck", figures.stuck),
        ("longest wait of a due job while a slot was idle", f"{figures.longest_wait:.1f} s"),
        ("taken for lost", figures.rescued),
        ("longest time to rescue", f"{figures.longest_rescue:.1f} s"),
        ("hosts vanished / longest until what they held was free", _remnants(record, figures)),
        ("aborts answered", _answered(figures.aborts)),
        ("approvals and rejections answered", _answered(figures.decisions)),
        ("POSTs judged / slowest", f"{figures.posts} / {figures.slowest_post:.2f} s"),
        ("  answered 503 for want of a processor", str(figures.starved)),
        ("  answered 503 / outcome not known", f"{figures.refused} / {figures.unknown}"),
        ("  keys used again / jobs withdrawn", f"{figures.repeated} / {figures.withdrawn}"),
        ("/readyz asked / slowest", f"{figures.probes} / {figures.slowest_answer:.2f} s"),
    ]
    return "\n\n".join(
        [
            _aligned(rows),
            _aligned(
                [("thresholds (seconds)", ""), *((f"  {name}", value) for name, value in vars(thresholds).items())]
            ),
            _faults(record),
            _broken(verdict),
            ", ".join([machine.platform(), f"Python {machine.python_version()}", *map(_version, ("celery", "django"))]),
        ]
    )


def _answered(by_status: Counter[int]) -> str:
    return ", ".join(f"{n} × {status}" for status, n in sorted(by_status.items())) or "none"


def _version(package: str) -> str:
    return f"{package} {version(package)}"


def _by(record: Record, way: str) -> int:
    return sum(1 for each in record.accepted if each.by == way)


def _remnants(record: Record, figures: Figures) -> str:
    return f"{len(record.remnants)} / {figures.longest_remnant:.1f} s"


def _faults(record: Record) -> str:
    injected = Counter(fault.kind for fault in record.faults)
    hit = Counter(fault.kind for fault in record.faults if fault.hits)
    struck: Counter[str] = Counter()
    for fault in record.faults:
        struck[fault.kind] += fault.hits
    lines = [f"{'fault':<34}{'injected':>9}{'hit':>6}{'jobs and locks struck':>24}"]
    lines += [f"{kind:<34}{injected[kind]:>9}{hit[kind]:>6}{struck[kind]:>24}" for kind in sorted(injected)]
    lines.append(f"{'all':<34}{sum(injected.values()):>9}{sum(hit.values()):>6}{sum(struck.values()):>24}")
    return "\n".join(lines)


def _broken(verdict: Verdict) -> str:
    if not verdict.broken:
        return "Every promise was kept."
    lines = []
    for promise in sorted(verdict.promises()):
        found = [each.what for each in verdict.broken if each.promise is promise]
        lines.append(f"BROKEN: {promise} ({len(found)})")
        lines += [f"  {what}" for what in found[:_SHOWN]]
    return "\n".join(lines)


def _aligned(rows: Iterable[tuple[str, object]]) -> str:
    return "\n".join(f"{name:<58}{value}" for name, value in rows)
