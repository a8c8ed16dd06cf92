"""``manage.py``: Django's command line, and what its commands say when they can't do their work.

A database that is away or was never migrated, Ctrl-C, a full disk, and a closed pipe are not bugs: they end a command
with one plain line, or silently, but not with a traceback.
"""

import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error

from cnaasjobs.db.in_words import in_words

INTERRUPTED: Final = 130  # the exit code that shells give a program ended by SIGINT
READER_GONE: Final = 141  # and by SIGPIPE
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main(argv: Sequence[str]) -> int | str | None:
    """What ``sys.exit`` takes: text is for standard error, and ends with 1."""
    if unreadable := [text for text in argv if not _is_text(text)]:
        return f"This argument is not valid text in the terminal's encoding: {ascii(unreadable[0])[:80]}"
    _make_writable()
    try:
        execute_from_command_line([*argv])
        sys.stdout.flush()
    except ImproperlyConfigured as exc:
        return str(exc)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return READER_GONE
    except OSError as exc:
        if exc.errno not in _NO_ROOM:
            raise
        _give_up_output()
        return f"The output can't be written: {exc.strerror}"
    except Error as exc:
        words = None if "--traceback" in argv else in_words(exc)
        if words is None:
            raise
        return words
    return None


def _make_writable() -> None:
    """Characters that the terminal's encoding lacks are written as escapes, and a closed output swallows everything."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """Point standard output at nothing, so that Python's last flush does not fail too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_text(argument: str) -> bool:
    """Python keeps bytes that it can't read as lone surrogates, which no database stores."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
