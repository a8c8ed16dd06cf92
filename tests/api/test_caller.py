"""Where a request comes from: the peer's address, or X-Forwarded-For behind trusted proxies."""

from typing import Any

import pytest
from django.test import RequestFactory

from cnaasjobs.api.caller import origin


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("10.0.0.1", None, [], "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", [], "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", ["10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", ["10.0.0.1"], "1.2.3.4"),
        ("10.0.0.1", "1.2.3.4", ["10.0.0.0/8"], "1.2.3.4"),
        ("10.0.0.1", None, ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", "", ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", ["10.0.0.0/8"], "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", ["10.0.0.0/8"], "1.2.3.4"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", ["10.0.0.0/8"], "10.0.0.3"),
        ("10.0.0.1", "1.2.3.4, nonsense", ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4:5678", ["10.0.0.1"], "1.2.3.4"),
        ("10.0.0.1", "[2001:db8::1]:5678", ["10.0.0.1"], "2001:db8::1"),
        ("10.0.0.1", "2001:0DB8:0::1", ["10.0.0.1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", "1.2.3.4", ["10.0.0.1"], "1.2.3.4"),
        ("::1", "1.2.3.4", ["::1"], "1.2.3.4"),
        ("", None, [], "unix socket"),
        ("", "1.2.3.4", [], "unix socket"),
        ("", "1.2.3.4", ["127.0.0.1"], "1.2.3.4"),
    ],
)
def test_a_request_comes_from_the_peer_or_from_the_last_address_that_is_no_trusted_proxy(
    settings: Any, peer: str, forwarded: str | None, trusted: list[str], expected: str
) -> None:
    settings.CNAASJOBS_TRUSTED_PROXIES = trusted
    extra = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert origin(RequestFactory().get("/", REMOTE_ADDR=peer, headers=extra)) == expected
