"""Runs a command on private services: ``python -m tests.services postgresql rabbitmq -- make test``.

The command gets their addresses as ``DATABASE_URL`` and ``CELERY_BROKER_URL``, and those of several brokers in one, for
tests in parallel; its exit code is ours.
"""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack

from tests.own_broker import BROKERS
from tests.services import SERVICES, scratch_directory
from tests.services.base import Broker

VARIABLES = {"postgresql": "DATABASE_URL", "rabbitmq": "CELERY_BROKER_URL", "redis": "CELERY_BROKER_URL"}


def main(arguments: list[str]) -> int:
    split = arguments.index("--") if "--" in arguments else 0
    names, command = arguments[:split], arguments[split + 1 :]
    if not names or not command or set(names) - set(SERVICES):
        print(f"usage: python -m tests.services {{{','.join(SERVICES)}}}... -- command", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        env = dict(os.environ)
        for name in names:
            directory = scratch_directory(name)
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            service = stack.enter_context(SERVICES[name](directory))
            env[VARIABLES[name]] = service.url
            if isinstance(service, Broker):
                env[BROKERS] = " ".join(service.separate_urls())
        return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
