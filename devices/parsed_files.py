"""Keeps the content of YAML files as JSON; of large ones, for the other processes of this machine or this service too.

YAML takes 0.7 s of a processor for 1,000 hosts, JSON 2 ms. So after a change of the inventory one process parses it,
and the others, each of which would need that time before it can help with a sync, load what that one has kept. Short
ones are kept in the process: when an inventory is read again, mostly just one of its files has changed.

Inventories hold passwords. What is kept lies in the system's directory for temporary files, which systemd and
containers give each service for itself, in a directory that only this user may enter. And it is signed, together with
the text that it was made of: nobody without SECRET_KEY can make others load something else.
"""

import json
import os
import stat
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.utils.crypto import constant_time_compare, salted_hmac

_LEAST: Final = 20_000  # characters; each process parses shorter files for itself
_MOST: Final = 100  # short texts
_VERSION: Final = "1"  # of the parser's result
_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None)})
_short: Final[dict[str, str]] = {}  # texts, and what they hold as JSON


class Kept(NamedTuple):
    content: Any


def load(path: Path, text: str) -> Kept | None:
    """The content that this text was parsed to, if a process has kept it."""
    if len(text) < _LEAST:
        plain = _short.get(text)
        return None if plain is None else Kept(json.loads(plain))
    try:
        kept = _file(path).read_text()
    except (OSError, UnicodeDecodeError):
        return None
    signature, _, plain = kept.partition("\n")
    return Kept(json.loads(plain)) if constant_time_compare(signature, _signature(text, plain)) else None


def keep(path: Path, text: str, content: Any) -> None:
    """Keep it, if JSON can hold all of it. If nothing can be kept, each process parses for itself."""
    if not _is_plain(content, most=len(text)):
        return
    with suppress(OSError, RecursionError):
        plain = json.dumps(content)
        if len(text) < _LEAST:
            if len(_short) >= _MOST:
                _short.clear()
            _short[text] = plain
            return
        file = _file(path)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent)  # for this user only
        with os.fdopen(descriptor, "w") as out:
            out.write(f"{_signature(text, plain)}\n{plain}")
        Path(temporary).replace(file)


def _signature(text: str, plain: str) -> str:
    parts = json.dumps([_VERSION, text, plain])
    return salted_hmac("devices.parsed_files", parts, algorithm="sha256").hexdigest()


def _file(path: Path) -> Path:
    """Where this file's content is kept: one place, so that its former content is replaced. Raises OSError."""
    directory = Path(tempfile.gettempdir(), f"cnaasjobs-{os.geteuid()}")
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{directory} is accessible to other users")
    return directory / f"{sha256(os.fsencode(path.absolute())).hexdigest()}.json"


def _is_plain(content: Any, *, most: int) -> bool:
    """Whether JSON can hold all of it unchanged: no dates, and no keys that are not text.

    ``most``: a text can't hold more values than this, unless aliases repeat them; written out in full, such a text may
    have no end.
    """
    left, seen = [content], 0
    while left:
        value = left.pop()
        seen += 1
        if seen > most:
            return False
        if type(value) is dict:
            if any(type(name) is not str for name in value):
                return False
            left.extend(value.values())
        elif type(value) is list:
            left.extend(value)
        elif type(value) not in _AS_THEY_ARE:
            return False
    return True
