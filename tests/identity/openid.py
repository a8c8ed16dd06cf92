"""A small OpenID provider over real HTTP, at which somebody is signed in, and which answers clients."""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from tests.identity.issuer import Answering, ec_key, jwks, serving, signed

CLIENT, SECRET = "console", "c0nsole's secret: %+/"


class OpenId:
    """What it says of the person is in ``claims``; ``id_token`` may be replaced by something that no provider says."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.key = ec_key("first")
        self.url = ""
        self.begun: dict[str, dict[str, str]] = {}  # by code
        self.refused: list[str] = []
        self.answer: bytes | None = None

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser of a person who is signed in is sent to."""
        assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == (CLIENT, "code", "S256")
        assert "openid" in asked["scope"].split()
        code = secrets.token_hex()
        self.begun[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> bytes | None:
        """None if the client may not have it."""
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        begun = self.begun.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        good = (
            begun is not None
            and (unquote(name), unquote(secret)) == (CLIENT, SECRET)
            and "client_secret" not in form
            and begun["code_challenge"] == challenge
            and begun["redirect_uri"] == form["redirect_uri"]
        )
        if not good or begun is None:
            self.refused.append(str(form))
            return None
        said = {"aud": CLIENT, "nonce": begun["nonce"], **self.claims}
        return self.answer or json.dumps({"access_token": "opaque", "id_token": signed(self.key, **said)}).encode()


@contextmanager
def openid_provider() -> Iterator[OpenId]:
    provider = OpenId()

    class Handler(Answering):
        def do_GET(self) -> None:  # noqa: N802  (so http.server calls it)
            parts = urlsplit(self.path)
            if parts.path == "/keys":
                self.answer(200, jwks(first=ec_key("first")))
                return
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.answer(302, b"", Location=provider.authorize(asked))

        def do_POST(self) -> None:  # noqa: N802
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(raw).items()}
            found = provider.token(form, self.headers.get("Authorization", ""))
            self.answer(400 if found is None else 200, found or b'{"error": "invalid_grant"}')

    with serving(Handler) as provider.url:
        yield provider
