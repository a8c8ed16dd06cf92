"""One RabbitMQ for all processes of a run, unless a test breaks it: a start takes four seconds of CPU time."""

import atexit
import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import NoReturn

from tests.services.base import scratch_directory
from tests.services.rabbitmq import RabbitMQ


def shared_rabbitmq(run_directory: Path) -> "SharedRabbitMQ":
    """The one of this run; the first process that asks for it starts it.

    It ends with that process, and the processes of a parallel run end when all tests have.
    """
    place = run_directory / "rabbitmq"
    with (run_directory / "rabbitmq.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place.exists() and SharedRabbitMQ(place).is_ready()):
            _start(place)
    return SharedRabbitMQ(place)


def _start(place: Path) -> None:
    directory = scratch_directory(RabbitMQ.name, in_memory=True)
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    server = RabbitMQ(directory)
    atexit.register(server.kill)
    server.start()
    place.write_text(json.dumps([str(directory), server.port, server.dist_port, server.epmd_port]))


class SharedRabbitMQ(RabbitMQ):
    """Whoever uses it has virtual hosts of their own. What others would notice is refused."""

    def __init__(self, place: Path) -> None:
        """``place``: where its directory and ports are written."""
        directory, port, dist_port, epmd_port = json.loads(place.read_text())
        super().__init__(Path(directory), port=port)
        self.dist_port, self.epmd_port = dist_port, epmd_port

    def _vhost_name(self, number: int) -> str:
        return f"of{os.getpid()}test{number}"

    def leave_vhost(self) -> None:
        """Its queues go with it: a hundred that nobody uses would cost the others something all the time."""
        self.evaluate(f'ok = rabbit_vhost:delete(<<"{self.vhost}">>, <<"tests">>).')

    def _refuse(self) -> NoReturn:
        raise AssertionError("other tests use it too: mark this one breaks_rabbitmq")

    stop = kill = launch = erase = freeze = thaw = block_publishers = _refuse
