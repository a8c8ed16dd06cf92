"""For processes under libfaketime 0.9.10, whose clock_nanosleep fails when it leaves the monotonic clock alone."""

import select
import time


def _sleep(seconds: float) -> None:
    select.select([], [], [], seconds)


time.sleep = _sleep
