"""A separate environment for peers: procrastinate needs psycopg 3, which must never be installed beside psycopg2."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.environment import CACHE

PROCRASTINATE: Final = ("procrastinate==3.10.0", "psycopg[binary]==3.3.9")


def procrastinate_python() -> Path:
    """The interpreter of the peers' environment, made on first use."""
    directory = CACHE / f"peers-{sys.version_info.major}.{sys.version_info.minor}"
    python = directory / "bin" / "python"
    done = directory / "installed"
    if not done.exists() or done.read_text() != "\n".join(PROCRASTINATE):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PROCRASTINATE], check=True, stdout=sys.stderr)
        done.write_text("\n".join(PROCRASTINATE))
    return python
