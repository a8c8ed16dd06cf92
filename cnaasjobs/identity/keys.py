"""Public keys, as providers publish them: JWKS, or PEM in a file. Never a secret that both sides would share."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from cnaasjobs.identity.fetching import MAX_BYTES

PublicKey = EllipticCurvePublicKey | RSAPublicKey

_MOST: Final = 50  # each is tried if a JWT names no key
_RSA_BITS: Final = 2048
_PUBLIC: Final = ("kty", "crv", "x", "y", "n", "e")  # whatever else a JWK contains is ignored
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class Key(NamedTuple):
    kid: str | None  # None: the key of a PEM file, which has no name
    algorithm: str
    public: PublicKey


def fitting(keys: Iterable[Key], kid: str | None, algorithm: str) -> list[Key]:
    """The keys that may have signed a JWT with this header. Several may fit: the caller tries each."""
    return [key for key in keys if key.algorithm == algorithm and (None in (kid, key.kid) or key.kid == kid)]


def parsed(content: bytes) -> list[Key]:
    """The keys in a PEM file or a JWKS document. Raises ValueError if there is none that can be used."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    try:
        found = _of_pem(content) if content.lstrip().startswith(b"-----") else _of_jwks(content)
    except RecursionError:
        raise ValueError("not JWKS") from None
    if not found:
        raise ValueError("no public key for ES256 or RS256 in it")
    return found[:_MOST]


def _of_jwks(content: bytes) -> list[Key]:
    found = json.loads(content)
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("not JWKS")
    return [key for jwk in listed if isinstance(jwk, dict) and (key := _of_jwk(jwk)) is not None]


def _of_jwk(jwk: dict[str, Any]) -> Key | None:
    """None for a key that can't have signed a JWT for us: for encryption, of another kind, or broken."""
    kid = jwk.get("kid")
    if jwk.get("use", "sig") != "sig" or not isinstance(kid, str | None):
        return None
    public: dict[str, Any] = {name: jwk[name] for name in _PUBLIC if name in jwk}
    if public.get("kty") not in ("EC", "RSA"):
        return None
    try:
        key = _key(kid, jwt.PyJWK(public).key)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError, UnsupportedAlgorithm):
        return None
    return key if key is not None and jwk.get("alg", key.algorithm) == key.algorithm else None


def _of_pem(content: bytes) -> list[Key]:
    found = [_key(None, _of_block(match[0], match[1])) for match in _BLOCK.finditer(content)]
    return [key for key in found if key is not None]


def _of_block(block: bytes, kind: bytes) -> Any:
    if kind.endswith(b"PRIVATE KEY"):
        raise ValueError("it is a private key: give the public one, which is all that is needed here")
    try:
        return (
            x509.load_pem_x509_certificate(block).public_key() if kind == b"CERTIFICATE" else load_pem_public_key(block)
        )
    except UnsupportedAlgorithm:
        return None


def _key(kid: str | None, public: Any) -> Key | None:
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return Key(kid, "ES256", public)
    if isinstance(public, RSAPublicKey) and public.key_size >= _RSA_BITS:
        return Key(kid, "RS256", public)
    return None
