"""A program that reports on itself, as JSON: ``cnaasjobs.run.loaded`` must start it as if it were started alone."""

import ctypes
import gc
import json
import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    loaded = "cnaasjobs.urls" in sys.modules
    from django.db import connections

    ends_with_parent = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(ends_with_parent))  # PR_GET_PDEATHSIG
    print(
        json.dumps(
            {
                "loaded": loaded,
                "argv": sys.argv[1:],
                "shown": Path("/proc/self/cmdline").read_text().rstrip("\0").replace("\0", " "),
                "parent": os.getppid(),
                "leads": os.getsid(0) == os.getpid(),
                "ends_with_parent": ends_with_parent.value == signal.SIGTERM,
                "hears": signal.getsignal(signal.SIGINT) is signal.default_int_handler
                and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL,
                "threads": len([*Path("/proc/self/task").iterdir()]),
                "connections": sum(one.connection is not None for one in connections.all()),
                "collects": gc.isenabled(),
                "lock": os.path.realpath(f"/proc/self/fd/{os.environ['LOCK']}"),
                "input": os.read(0, 1).decode(),
            }
        )
    )
    from knox.models import AuthToken

    AuthToken.objects.all().delete()
    sys.exit(3)
