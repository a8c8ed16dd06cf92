"""Makes ``.venv`` and installs the pinned packages; again whenever the files that list them change.

Run by the system's Python before anything is installed, so it imports the standard library only:
``python3 -I cnaasjobs/run/environment.py [dev]``. Two copies started at once wait for each other.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
# pip's remarks about itself, the user and the configured indexes do not interest someone who typed `make run`.
PIP = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
REQUIRED = {"run": ["requirements.txt"], "dev": ["requirements.txt", "requirements-dev.txt"]}
OPTIONAL = "requirements-embedded.txt"
PIP_ENV = {"PIP_ROOT_USER_ACTION": "ignore", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_USER": "0"}


class SetupError(Exception):
    """Why the set-up stopped, for the person at the terminal."""


def python_works(*arguments: str) -> bool:
    """False if ``.venv`` is missing, incomplete, or its Python was removed by an upgrade."""
    return PYTHON.exists() and subprocess.run([PYTHON, *arguments], capture_output=True).returncode == 0


def create_venv() -> None:
    try:
        import ensurepip  # noqa: F401  (Debian has it in a separate package)
        import venv
    except ImportError:
        name = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetupError(f"Python's venv module is missing. On Debian and Ubuntu: apt-get install {name}") from None
    print(f"Creating {VENV} with Python {sys.version.split()[0]}", flush=True)
    venv.create(VENV, clear=True, symlinks=True, with_pip=True)


def pip_install(*files: str) -> bool:
    """Returns True if pip succeeded. What it printed is in ``LOG``."""
    command = [*PIP, "-c", "constraints.txt", *(part for name in files for part in ("-r", name))]
    with LOG.open("a") as log:
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | PIP_ENV, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    return done.returncode == 0


def is_installed(kind: str) -> bool:
    stamp = VENV / f".installed-{kind}"
    return stamp.exists() and stamp.read_text() == fingerprint(kind)


def fingerprint(kind: str) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for name in [*REQUIRED[kind], OPTIONAL, "constraints.txt"]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def install(kind: str) -> None:
    if python_works("-c", "") and (is_installed(kind) or is_installed("dev")):
        return
    if not python_works("-m", "pip", "--version"):
        create_venv()
    LOG.unlink(missing_ok=True)
    print("Installing the pinned packages into .venv (about a minute)", flush=True)
    if not pip_install(*REQUIRED[kind]):
        tail = "\n".join(line for line in LOG.read_text().splitlines() if line.startswith("ERROR"))
        raise SetupError(f"pip could not install the packages; its output is in {LOG}\n{tail}")
    # May fail: not every platform has a wheel, and `make run` says what to install if it finds no server then.
    pip_install(OPTIONAL)
    (VENV / f".installed-{kind}").write_text(fingerprint(kind))


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  (the system's Python, whatever its version)
        print(f"cnaasjobs needs Python 3.11 or newer; this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    kind = sys.argv[1] if len(sys.argv) > 1 else "run"
    with (ROOT / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            install(kind)
        except KeyboardInterrupt:
            return 130
        except SetupError as error:
            print(error, file=sys.stderr)
            return 1
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"Cannot make {VENV}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
