"""How many files a process of the web server may have open: a connection is one, and an answer may need others."""

import resource
from typing import Final

CONNECTIONS: Final = 900  # of each process: most systems give it 1,024 files
FEWEST: Final = 16
_OF_THE_PROCESS: Final = 64
_OF_A_THREAD: Final = 4  # its connection to the database, which SQLite has three files for, and the file that it sends


def connections_for(threads: int) -> int:
    """How many connections a process with so many threads can take. Asks the system for more files if it needs them."""
    others = _OF_THE_PROCESS + _OF_A_THREAD * threads
    allowed, most = (_number(each) for each in resource.getrlimit(resource.RLIMIT_NOFILE))
    if allowed < CONNECTIONS + others:
        allowed = min(most, CONNECTIONS + others)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return max(FEWEST, min(CONNECTIONS, allowed - others))


def _number(limit: int) -> int:
    return 2**31 if limit == resource.RLIM_INFINITY else limit
