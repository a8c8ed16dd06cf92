"""From a commit to a reader of live events: many readers of one events process, while jobs change without pause."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from typing import Final

from benchmarks.environment import Bench
from benchmarks.measure import Line, percentile, spread
from tests.waiting import wait_until

_TARGETS: Final = {0.5: 0.3, 0.99: 1.0}


class _Reader(threading.Thread):
    """Notes when it heard of each job's comment."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.heard: dict[str, float] = {}
        self.is_there = False
        self._connection = http.client.HTTPConnection(address, timeout=60)
        self._connection.request("GET", "/api/v1.0/events?kind=job")
        self._socket = self._connection.sock
        self._answer = self._connection.getresponse()

    def run(self) -> None:
        try:
            for line in self._answer:
                self.is_there = True
                if line.startswith(b'data: {"id"'):
                    self.heard.setdefault(json.loads(line[6:])["comment"], time.time())
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def close(self) -> None:
        """Shuts the socket down first: until it ends, the reading thread holds a lock that closing would wait for."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self._connection.close()


def latency(bench: Bench) -> Iterator[Line]:
    readers, changes, every = bench.size(50, 10), bench.size(1000, 100), 0.02
    found: dict[float, list[float]] = {share: [] for share in _TARGETS}
    for _ in range(bench.rounds):
        seconds = _seconds(bench, readers, changes, every)
        for share, values in found.items():
            values.append(percentile(seconds, share))
    for share, values in found.items():
        yield Line(
            what=f"from a commit to {readers} readers, {1 / every:.0f} changes a second: p{share * 100:g}",
            unit="s",
            ours=spread(values),
            target=_TARGETS[share],
            absolute=True,
        )


def _seconds(bench: Bench, readers: int, changes: int, every: float) -> list[float]:
    """Of each change for each reader."""
    from benchmarks.bodies import noop

    bench.reset_jobs()
    platform = bench.platform(env={"CNAASJOBS_DEV": "1", "CNAASJOBS_REQUIRE_TOKEN": "0"})
    jobs = [noop.schedule().pk for _ in range(100)]
    events = platform.events()
    address = platform.events_url.removeprefix("http://")
    wait_until(lambda: _answers(address), timeout=60, message=events.output)
    committed: dict[str, float] = {}
    try:
        with ExitStack() as stack:
            all_readers = [stack.enter_context(closing(_Reader(address))) for _ in range(readers)]
            for reader in all_readers:
                reader.start()
            wait_until(lambda: all(reader.is_there for reader in all_readers), timeout=60)
            with closing(bench.postgresql.connect()) as session, session.cursor() as cursor:
                for number in range(changes):
                    # Another job each time, so that each change is told before the job changes again.
                    values = (str(number), jobs[number % len(jobs)])
                    cursor.execute("UPDATE jobs_job SET comment = %s WHERE id = %s", values)
                    committed[str(number)] = time.time()
                    time.sleep(every)
            wait_until(lambda: all(str(changes - 1) in reader.heard for reader in all_readers), timeout=60)
            missed = [number for reader in all_readers for number in committed if number not in reader.heard]
            if missed:
                raise AssertionError(f"not told: {missed[:10]}")
            return [reader.heard[number] - at for reader in all_readers for number, at in committed.items()]
    finally:
        platform.stop()


def _answers(address: str) -> bool:
    try:
        with closing(http.client.HTTPConnection(address, timeout=3)) as connection:
            connection.connect()
    except OSError:
        return False
    return True
