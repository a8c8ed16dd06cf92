"""Beat's heartbeat, written by a loop of its own."""

import socket

from cnaasjobs.conf import conf
from jobs.liveness.heartbeat import OwnHeartbeat


class BeatHeartbeat(OwnHeartbeat):
    def __init__(self) -> None:
        super().__init__("beat", f"beat@{socket.gethostname()}")

    def step(self) -> float:
        """Write one beat. Returns the seconds until the next."""
        self.beat()
        return conf.heartbeat_seconds
