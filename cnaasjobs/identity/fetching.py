"""One short answer from the identity provider: bounded in time and size, from the URL that the settings name."""

import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

WAIT_SECONDS: Final = 3.0
MAX_BYTES: Final = 256 * 1024
_CHUNK: Final = 16 * 1024


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Only the URL that the settings name is trusted."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def fetched(url: str, *, form: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Raises OSError, ValueError or HTTPException. A server that sends too slowly is given up after ``WAIT_SECONDS``.

    Args:
        form: what is posted, encoded as a form.
    """
    until = time.monotonic() + WAIT_SECONDS
    every = {"Accept": "application/json", **(headers or {})}
    request = urllib.request.Request(url, form, every)  # noqa: S310  (conf takes http and https alone)
    with urllib.request.build_opener(_NoRedirects).open(request, timeout=WAIT_SECONDS) as answer:
        content = bytearray()
        while chunk := answer.read1(_CHUNK):
            content += chunk
            if len(content) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            if time.monotonic() > until:
                raise TimeoutError(f"not complete after {WAIT_SECONDS:g} s")
        return bytes(content)
