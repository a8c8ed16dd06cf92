"""What the worker's event loop reads from the beginning of a request."""

import pytest

from cnaasjobs.web.heads import SHORT_BYTES, Head

POST = b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize("seen", [b"", b"GET", b"GET / HTTP/1.1\r\n", POST, POST + b"Content-Length: 2\r\n"])
def test_nothing_is_read_from_a_head_that_has_not_ended(seen: bytes) -> None:
    assert Head.of(seen) is None


@pytest.mark.parametrize(
    ("path", "is_health"),
    [(b"/healthz", True), (b"/readyz/?x=1", True), (b"/healthz/../api", False), (b"/api/v1.0/jobs?/healthz", False)],
)
@pytest.mark.parametrize("before", [b"", b"PROXY TCP4 10.0.0.1 127.0.0.1 4000 8000\r\n"])
def test_a_request_for_our_health_is_recognised(path: bytes, is_health: bool, before: bytes) -> None:
    head = Head.of(before + b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    assert head is not None
    assert (head.is_health, head.has_all) == (is_health, True)


@pytest.mark.parametrize(
    ("rest", "has_all", "is_soon"),
    [
        (b"Content-Length: 2\r\n\r\n{}", True, True),
        (b"content-length:2\r\n\r\n{", False, True),
        (b"Content-Length: %d\r\n\r\n{" % SHORT_BYTES, False, False),
        (b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n", False, False),
        (b"Transfer-Encoding: chunked\r\n\r\nff\r\n0\r\n\r\n", False, False),  # looks like an end, and is none
        (b"X: a\nContent-Length: 9\r\n\r\n", True, False),  # a bare line feed: refused at once
    ],
)
def test_a_head_tells_whether_its_body_is_there(rest: bytes, has_all: bool, is_soon: bool) -> None:
    head = Head.of(POST + rest)
    assert head is not None
    assert (head.has_all, head.length is not None) == (has_all, is_soon)
