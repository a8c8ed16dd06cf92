"""The commands of ``manage.py jobs``, and what can follow each of them."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Final

from jobs.cli.given import how_many, job_id, moment, named_text, seconds

_SEARCH: Final = (
    "such as 'status:running function:sync device:sw1 by:ann ticket:NOC-1 lock:devices score:>20 since:24h text'; "
    "the single quotes protect it from the shell"
)
_WAIT: Final = (
    "wait until they have ended. Exits with 0: finished, 1: an exception or a failed device, 2: not found, 3: timed out"
)
_VALUE: Final = "an argument; the value is JSON, or text if it is not JSON: hostnames='[\"sw1\"]' dry_run=false"


def add_to(parser: ArgumentParser) -> None:
    """Sets ``verb`` to the command that was given."""
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, (words, add_arguments) in _COMMANDS.items():
        add_arguments(verbs.add_parser(name, help=words))


def _search(verb: ArgumentParser) -> None:
    verb.add_argument("search", nargs="*", help=_SEARCH)
    verb.add_argument("-n", "--number", type=how_many, default=20, help="how many (default 20)")
    verb.add_argument("--json", action="store_true", help="JSON, as in the API")
    verb.add_argument("--before", type=job_id, help="older than this id")


def _show(verb: ArgumentParser) -> None:
    verb.add_argument("id", type=job_id)
    verb.add_argument("--devices", choices=("all", "failed", "none"), default="all", help="which (default all)")
    verb.add_argument("--json", action="store_true", help="JSON, as in the API, with what it waits for")


def _wait(verb: ArgumentParser) -> None:
    verb.add_argument("id", type=job_id, nargs="+")
    verb.add_argument("--timeout", type=seconds, help="seconds; then it exits with 3")
    verb.add_argument("--json", action="store_true", help="the jobs as in the API, once they have ended")


def _start(verb: ArgumentParser) -> None:
    verb.add_argument("function", help="its own name, such as devices.tasks.sync_devices, or what its jobs show")
    verb.add_argument("arguments", type=named_text, nargs="*", metavar="name=value", help=_VALUE)
    verb.add_argument("--at", type=moment, help="when it is due, in UTC, such as 2026-12-24T02:00")
    verb.add_argument("--comment", help="shown with the job")
    verb.add_argument("--ticket", help="the number of the change in your own system")
    verb.add_argument("--json", action="store_true", help="the new job as in the API")


def _abort(verb: ArgumentParser) -> None:
    verb.add_argument("id", type=job_id, nargs="+")
    verb.add_argument("--reason", default="", help="the reason, shown with the job")


def _decide(verb: ArgumentParser) -> None:
    verb.add_argument("id", type=job_id)
    verb.add_argument("--comment", default="", help="why")


def _log(verb: ArgumentParser) -> None:
    verb.add_argument("id", type=job_id)
    verb.add_argument("--json", action="store_true", help="one line of JSON for each log line")
    verb.add_argument("-f", "--follow", action="store_true", help="continue until the job has ended")


def _rerun(verb: ArgumentParser) -> None:
    verb.add_argument("id", type=job_id)
    verb.add_argument("--only-failed", action="store_true", help="only on the devices that it left undone")
    verb.add_argument("--comment", help="replaces its comment")
    verb.add_argument("--json", action="store_true", help="the new job as JSON, as in the API")


_COMMANDS: Final[dict[str, tuple[str, Callable[[ArgumentParser], None]]]] = {
    "list": ("the newest jobs that match a search", _search),
    "watch": ("the same, live, until Ctrl-C; ids until they have ended", _search),
    "show": ("one job: what it waits for, its outcome, its devices", _show),
    "wait": (_WAIT, _wait),
    "start": ("start a job by its function's name", _start),
    "abort": ("end waiting jobs, tell running ones to stop", _abort),
    "approve": ("approve a job that waits for a second person", _decide),
    "reject": ("reject a job that waits for a second person", _decide),
    "log": ("what a job's code logged", _log),
    "rerun": ("run a job that has ended again, with its arguments", _rerun),
}
