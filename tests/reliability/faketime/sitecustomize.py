"""For processes under libfaketime 0.9.10, whose clock_nanosleep fails when it leaves the monotonic clock alone."""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


time.sleep = _sleep
