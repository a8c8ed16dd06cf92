"""``python -m benchmarks``: every row, or one; a table on stdout and JSON beside it."""

import argparse
import sys
import time
import traceback
from pathlib import Path

from benchmarks import report
from benchmarks.environment import Bench, started
from benchmarks.measure import Line
from benchmarks.rows import ROWS, load


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    if options.list:
        print("\n".join(f"{name:20} {summary}" for name, (_, summary) in ROWS.items()))
        return 0
    names = options.row or list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        print(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    results: dict[str, list[Line]] = {}
    failed = []
    with started(quick=options.quick, rounds=options.rounds or (1 if options.quick else 3), base=options.base) as bench:
        facts = report.machine(bench.versions())
        report.print_machine(facts)
        for name in names:
            begun = time.monotonic()
            try:
                results[name] = _run(bench, name)
            except Exception:  # noqa: BLE001  one row that breaks must not lose the figures of the others
                traceback.print_exc()
                failed.append(name)
                continue
            finally:
                bench.end_processes()
            report.print_table(name, results[name], time.monotonic() - begun)
            report.write_json(options.output, facts, results)
    print(f"\nJSON: {options.output}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _run(bench: Bench, name: str) -> list[Line]:
    bench.settle()
    return list(load(name)(bench))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--row", action="append", metavar="NAME", help="only this row; may be given again")
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument("--quick", action="store_true", help="small and one round: for trying, not for the record")
    parser.add_argument("--rounds", type=int, help="rounds of each side (3; 1 with --quick)")
    parser.add_argument("--base", metavar="COMMIT", help="beside it in the same run: another commit's product")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/.cache/results.json"), help="the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
