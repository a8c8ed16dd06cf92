"""``make chaos JOBS= FAULTS= SEED= MUTANT= KINDS=``, or ``python -m tests.chaos --jobs … --faults …`` and so on."""

import argparse
import os
import random
import shutil
import sys
import time

from tests.chaos.checks import Thresholds, check
from tests.chaos.mutants import MUTANTS
from tests.chaos.plan import FAULTS, SHORT, draw
from tests.chaos.record import Record
from tests.chaos.report import table
from tests.chaos.run import Options, Run
from tests.services import PostgreSQL, RabbitMQ, scratch_directory


def main(argv: list[str] | None = None) -> int:
    arguments = _arguments(argv)
    missing = [service.name for service in (PostgreSQL, RabbitMQ) if not service.is_available()]
    if missing:
        print(f"The chaos run needs {' and '.join(missing)} installed on this machine.", file=sys.stderr)
        return 2
    thresholds = Thresholds(
        worker_lost=arguments.worker_lost_seconds,
        stuck=60.0 * arguments.scale,
        rescue=60.0 * arguments.scale,
        answer=2.0 * arguments.scale,
    )
    plan = draw(
        seed=arguments.seed,
        jobs=arguments.jobs,
        faults=arguments.faults,
        jobs_per_second=arguments.jobs_per_second,
        kinds=_kinds(arguments),
    )
    _say(f"seed {plan.seed}: {arguments.jobs} jobs and {arguments.faults} faults over {plan.seconds:.0f} s")
    directory = scratch_directory("chaos")
    keep = True
    try:
        run = Run(plan, Options(thresholds=thresholds, mutant=arguments.mutant), directory, say=_say)
        record = run()
        record.save(directory / "record.json")
        keep = _judge(record, thresholds, arguments, plan.seed) != 0
    finally:
        if arguments.keep or keep:
            _say(f"the record and all logs: {directory}")
        else:
            shutil.rmtree(directory)
    return int(keep)


def _kinds(arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.kinds:
        return tuple(arguments.kinds.split(","))
    if arguments.mutant and (needed := MUTANTS[arguments.mutant].faults):
        return needed
    return tuple(FAULTS) if arguments.faults >= len(FAULTS) else SHORT


def _judge(record: Record, thresholds: Thresholds, arguments: argparse.Namespace, seed: int) -> int:
    verdict = check(record, thresholds)
    print(table(record, verdict, thresholds, seed=seed), flush=True)
    if not arguments.mutant:
        return int(bool(verdict.broken))
    mutant = MUTANTS[arguments.mutant]
    caught = mutant.promise in verdict.promises()
    _say(f"MUTANT={arguments.mutant} ({mutant.says}): {'caught' if caught else 'NOT caught'} as “{mutant.promise}”")
    return int(not caught)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    def default(name: str, otherwise: str) -> str:
        return os.environ.get(name) or otherwise

    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=int(default("JOBS", "1500")))
    parser.add_argument("--faults", type=int, default=int(default("FAULTS", "60")))
    parser.add_argument("--seed", type=int, default=int(default("SEED", str(random.SystemRandom().randrange(10**6)))))
    parser.add_argument("--mutant", default=default("MUTANT", ""), choices=["", *MUTANTS])
    parser.add_argument("--kinds", default=default("KINDS", ""), help=f"of faults: {', '.join(FAULTS)}")
    parser.add_argument("--jobs-per-second", type=float, default=4.0)
    parser.add_argument("--worker-lost-seconds", type=float, default=10.0)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of the limits for stuck and rescued jobs (60 s) and answers (2 s)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the record and the logs of a good run too")
    return parser.parse_args(argv)


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
