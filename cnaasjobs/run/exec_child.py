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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--user")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if options.user:
        become(options.user)
    if sys.platform == "linux":  # after changing the user, which would undo it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != options.parent:
            sys.exit("its parent ended before it began")
    for number in (signal.SIGHUP, signal.SIGINT):  # nohup, or a shell's &, has made our parent deaf, not the program
        signal.signal(number, signal.SIG_DFL)
    os.execvp(options.command[0], options.command)  # noqa: S606  # nosec B606 # the program that it is told


if __name__ == "__main__":
    main()
