"""``manage.py``: Django's command line, and what its commands say when they can't do their work.

A database that is away or was never migrated, Ctrl-C and a reader of the output that went away are no mistakes of ours:
they end a command with a line in words or none, not with a traceback.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import Error

from cnaasjobs.db.in_words import in_words

INTERRUPTED: Final = 130  # what a shell says of one that SIGINT ended
READER_GONE: Final = 141  # of one that SIGPIPE ended


def main(argv: Sequence[str]) -> int | str | None:
    """What ``sys.exit`` takes: text is for standard error, and ends with 1."""
    if unreadable := [text for text in argv if not _is_text(text)]:
        return f"No text in this terminal's encoding: {ascii(unreadable[0])[:80]}"
    try:
        execute_from_command_line([*argv])
        sys.stdout.flush()
    except ImproperlyConfigured as exc:
        return str(exc)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that its last flush does not fail too
        return READER_GONE
    except Error as exc:
        words = None if "--traceback" in argv else in_words(exc)
        if words is None:
            raise
        return words
    return None


def _is_text(argument: str) -> bool:
    """Python keeps bytes that it can't read as lone surrogates, which no database stores."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True
