"""A process that a job starts and leaves behind."""

import subprocess
import sys
import time
from pathlib import Path

# Its pid, then a byte whenever it is still alive.
_WRITER = "import os, sys, time\nf = open(sys.argv[1], 'a')\nf.write(f'{os.getpid()}\\n'); f.flush()\n"
_WRITER += "while True: f.write('.'); f.flush(); time.sleep(0.02)"


def start_writer(path: str) -> None:
    """Returns when it writes into the file."""
    subprocess.Popen([sys.executable, "-c", _WRITER, path])
    while not (Path(path).exists() and Path(path).read_text().endswith(".")):
        time.sleep(0.01)
