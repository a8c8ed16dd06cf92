"""What the beginning of a request says about the rest, as far as the worker's loop must know. gunicorn parses it."""

import re
from typing import Final, NamedTuple, Self

SHORT_BYTES: Final = 16_384  # of a request whose body is waited for without a thread

_HEALTH: Final = (b"/healthz", b"/readyz")
_END: Final = b"\r\n\r\n"
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")  # gunicorn's parser refuses a head with one at once, before its end
_LENGTH: Final = re.compile(rb"\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\ntransfer-encoding:", re.IGNORECASE)
_EXPECT: Final = re.compile(rb"\nexpect:", re.IGNORECASE)


class Head(NamedTuple):
    """About a request whose head has arrived."""

    is_health: bool  # it asks for our health
    has_all: bool  # its body is there too
    length: int | None  # bytes of the whole request, if what is missing should come soon

    @classmethod
    def of(cls, seen: bytes) -> Self | None:
        """None while the head has not ended."""
        end = seen.find(_END)
        head = seen if end < 0 else seen[: end + len(_END)]
        if _BARE_LF.search(head):
            return cls(False, True, None)
        if end < 0:
            return None
        is_health = _path_of(head) in _HEALTH
        if _CHUNKED.search(head):
            return cls(is_health, False, None)
        size = _LENGTH.search(head)
        length = len(head) + (int(size[1]) if size else 0)
        is_soon = length <= SHORT_BYTES and not _EXPECT.search(head)  # which waits to be told to go on
        return cls(is_health, len(seen) >= length, length if is_soon else None)


def _path_of(head: bytes) -> bytes:
    if head.startswith(b"PROXY "):  # by which ``make run`` says whose connection it is
        head = head.partition(b"\r\n")[2]
    parts = head.split(b" ", 2)
    return parts[1].partition(b"?")[0].rstrip(b"/") if len(parts) == 3 else b""
