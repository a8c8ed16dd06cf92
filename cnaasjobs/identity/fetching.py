"""One short answer from the identity provider: bounded in time and size, from the URL that the settings name."""

import threading
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final
from urllib.error import HTTPError

WAIT_SECONDS: Final = 3.0
MAX_BYTES: Final = 256 * 1024
_CHUNK: Final = 16 * 1024


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Only the URL that the settings name is trusted."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def fetched(url: str, *, form: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Raises OSError, ValueError or HTTPException. Whatever the server does, this gives up after ``WAIT_SECONDS``.

    It runs in its own thread: a slow name lookup, or headers that trickle in, can't be interrupted.

    Args:
        form: what is posted, encoded as a form.
    """
    every = {"Accept": "application/json", **(headers or {})}
    request = urllib.request.Request(url, form, every)  # noqa: S310  (conf takes http and https alone)
    content: Future[bytes] = Future()
    threading.Thread(target=_fetch, args=(request, content), name="identity-fetch", daemon=True).start()
    try:
        return content.result(WAIT_SECONDS)
    except TimeoutError as exc:
        raise TimeoutError(f"not complete after {WAIT_SECONDS:g} s") from exc


def _fetch(request: urllib.request.Request, content: "Future[bytes]") -> None:
    try:
        content.set_result(_read(request))
    except HTTPError as exc:
        exc.close()  # it is an answer too
        content.set_exception(OSError(str(exc)))
    except Exception as exc:  # noqa: BLE001  whoever waits for it gets it
        content.set_exception(exc)


def _read(request: urllib.request.Request) -> bytes:
    until = time.monotonic() + WAIT_SECONDS
    with urllib.request.build_opener(_NoRedirects).open(request, timeout=WAIT_SECONDS) as answer:
        content = bytearray()
        while chunk := answer.read1(_CHUNK):
            content += chunk
            if len(content) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            if time.monotonic() > until:
                raise TimeoutError
        return bytes(content)
