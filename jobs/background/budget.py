"""How long a step may take."""

import time


class Budget:
    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> bool:
        return self.seconds_left() > 0

    def seconds_left(self) -> float:
        return max(0.0, self._end - time.monotonic())
