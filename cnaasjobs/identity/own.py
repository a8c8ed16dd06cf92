"""JWTs of our own, for front ends that log in with a name and a password: short-lived, and void once it changes.

Each contains a mark made from the hash of the user's password and SECRET_KEY, which no longer matches once the password
has been changed.
"""

import secrets
import time
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from cnaasjobs.conf import conf
from cnaasjobs.db.accounts import Owner, owner_named
from cnaasjobs.identity.keys import Key
from cnaasjobs.identity.verification import Claims, Refused, header_of, verified

ISSUER: Final = "cnaasjobs"  # can't be a provider's: those are URLs
ALGORITHM: Final = "ES256"
_SALT: Final = "cnaasjobs.identity.own"


class SigningKey:
    """Signs JWTs of our own. It is also the only key that verifies one."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        public = private.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        self.kid = sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()[:32]
        self._public = Key(self.kid, ALGORITHM, public)

    def find(self, kid: str | None, algorithm: str) -> list[Key]:
        return [self._public] if (kid, algorithm) == (self.kid, ALGORITHM) else []


def new_key() -> str:
    """A private key, as the file has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def signing_key() -> SigningKey:
    """Raises OSError or ValueError if the file has none."""
    if conf.jwt_login_key_file is None:
        raise ValueError("CNAASJOBS_JWT_LOGIN_KEY_FILE is not set")
    return _read(conf.jwt_login_key_file)


@lru_cache(maxsize=2)
def _read(path: Path) -> SigningKey:
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), None)
    except (TypeError, UnsupportedAlgorithm) as exc:  # TypeError: it has a password
        raise ValueError(str(exc)) from exc
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise ValueError("not a private key on the curve P-256")
    return SigningKey(private)


def is_ours(text: str) -> bool:
    """Whether it says that our key signed it. Raises Refused if the text is not a JWT."""
    return conf.jwt_login and header_of(text).get("kid") == signing_key().kid


def issued_to(name: str, password_hash: str, *, logged_in: float | None = None) -> str:
    """A JWT for the user.

    Args:
        logged_in: when they gave their password, in seconds since 1970; now, unless this refreshes a JWT.
    """
    now = time.time()
    key = signing_key()
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": name,
        "iat": int(now),
        "exp": int(now) + conf.jwt_login_minutes * 60,
        "auth_time": int(now if logged_in is None else logged_in),
        "mark": _mark(password_hash, settings.SECRET_KEY),
        "jti": secrets.token_hex(8),
    }
    return jwt.encode(claims, key.private, ALGORITHM, headers={"kid": key.kid})


def claims_of(text: str) -> Claims:
    """The claims of a JWT that we signed. Raises Refused if it is not one, or has expired."""
    return verified(text, signing_key(), algorithms=[ALGORITHM], issuer=ISSUER, audience=ISSUER)


def owner_of(claims: Claims) -> Owner:
    """The user that the JWT is for, read with one statement. Raises Refused if it is gone or has another password."""
    owner = owner_named(claims["sub"])
    if owner is None:
        raise Refused("Invalid token")
    secret_keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if not any(constant_time_compare(claims["mark"], _mark(owner.beside, key)) for key in secret_keys):
        raise Refused("The password was changed since: log in again")
    return owner


def refreshed(claims: Claims, owner: Owner) -> str:
    """Raises Refused if the password was given too long ago."""
    if time.time() - claims["auth_time"] >= conf.jwt_login_hours * 3600:
        raise Refused(f"The password was given more than {conf.jwt_login_hours:g} hours ago: log in again")
    return issued_to(owner.user.get_username(), owner.beside, logged_in=claims["auth_time"])


def _mark(password_hash: str, secret_key: str) -> str:
    return salted_hmac(_SALT, password_hash, secret=secret_key, algorithm="sha256").hexdigest()
