"""Becomes another program, which the kernel ends when this process's parent is gone, even by SIGKILL (Linux).

``python -I -S exec_child.py --parent PID [--user NAME] -- program arguments``: started by path, so it imports the
standard library only. To the kernel the parent is a thread: start it from one that lives as long as the child may.
"""

import argparse
import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(user: str) -> None:
    account = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def begin(*, parent: int) -> None:
    """Ends this process when ``parent`` is gone. Signals that nohup or a shell's "&" ignored end it again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("its parent ended before it began")
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--user")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if options.user:
        become(options.user)
    begin(parent=options.parent)  # after changing the user, which would undo it
    os.execvp(options.command[0], options.command)  # noqa: S606  # nosec B606 # the program that it is told


if __name__ == "__main__":
    main()
