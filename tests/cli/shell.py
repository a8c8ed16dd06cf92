"""Commands of ``manage.py``, called as the shell calls them."""

import io
from typing import Any

from django.core.management import CommandError, call_command


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: Any, stream: io.StringIO | None = None) -> str:
    out = stream or io.StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def ends_with(*arguments: Any) -> int:
    """The exit code, as the shell gets it."""
    try:
        run(*arguments)
    except CommandError as exc:
        return exc.returncode
    except SystemExit as exc:
        return int(str(exc.code))
    return 0
