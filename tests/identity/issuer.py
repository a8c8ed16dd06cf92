"""An issuer of JWTs for tests, which serves its keys over HTTP as an identity provider does."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

ISSUER = "https://login.example.org/realms/net"
AUDIENCE = "cnaasjobs-api"
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1() if name == "p384" else ec.SECP256R1())


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def public_pem(key: Private | ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: Private) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def jwk(key: Private, kid: str | None, **more: Any) -> dict[str, Any]:
    algorithm: Any = (
        jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    )
    found = algorithm.to_jwk(key.public_key(), as_dict=True)
    return {**found, "use": "sig", **({} if kid is None else {"kid": kid}), **more}


def jwks(**keys: Private) -> bytes:
    return json.dumps({"keys": [jwk(key, kid) for kid, key in keys.items()]}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """Of a good JWT. A claim that is changed to None is left out."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "4711", "iat": now, "exp": now + 600, "preferred_username": "ann"}
    return {name: value for name, value in {**good, **changed}.items() if value is not None}


def signed(
    key: Private | None = None, *, kid: str | None = "first", header: dict[str, Any] | None = None, **changed: Any
) -> str:
    key = key or ec_key("first")
    algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
    named = {} if kid is None else {"kid": kid}
    # Not jwt.encode, which would refuse to write the claims that nobody should accept.
    return jwt.api_jws.encode(json.dumps(claims(**changed)).encode(), key, algorithm, {**named, **(header or {})})


class Served:
    """What the provider's server answers, and what it was asked."""

    def __init__(self) -> None:
        self.content = jwks(first=ec_key("first"))
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.url = ""


class Answering(BaseHTTPRequestHandler):
    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(handler: type[Answering]) -> Iterator[str]:
    """On this machine, at the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving_keys() -> Iterator[Served]:
    served = Served()

    class Handler(Answering):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            self.answer(served.status, served.content, **served.headers)

    with serving(Handler) as url:
        served.url = f"{url}/keys"
        yield served
