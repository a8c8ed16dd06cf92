"""Whether a JWT is good: signed by a key of its issuer, for us, now, and made of what the standard says."""

from collections.abc import Sequence
from typing import Any, Final

import jwt

from cnaasjobs.identity.key_sources import Keys

MAX_LENGTH: Final = 8000  # more than servers and proxies accept in a header
_MAX_NAME: Final = 255
_LATEST: Final = 2**53
_REQUIRED: Final = ("exp", "iss", "aud", "sub")

Claims = dict[str, Any]


class Refused(Exception):
    """Why the JWT does not count, for whoever sent it."""


def is_jwt(text: str) -> bool:
    """An API token has no dots."""
    return text.count(".") == 2


def verified(
    text: str, source: Keys, *, algorithms: Sequence[str], issuer: str, audience: str, leeway: float = 0
) -> Claims:
    """The claims of a good JWT.

    Only ``alg`` and ``kid`` of its header are used, and they only choose among what the settings allow: a key, or the
    URL of one, that the JWT brings along is ignored.

    Raises:
        Refused: it is not good.
        KeysAway: the key that may have signed it can't be read now.
    """
    header = header_of(text)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Refused("Invalid token: its signature must be made with " + " or ".join(algorithms))
    keys = source.find(header.get("kid"), algorithm)
    if not keys:
        raise Refused("Invalid token: its key is not one of its issuer's")
    claims = _signed_claims(text, keys, algorithm, issuer=issuer, audience=audience, leeway=leeway)
    _check_types(claims)
    return claims


def header_of(text: str) -> Claims:
    """The header of a JWT, whose signature is not checked here. Raises Refused if the text is not a JWT."""
    if len(text) > MAX_LENGTH:
        raise Refused("Invalid token: it is too long")
    try:
        return jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError) as exc:
        raise Refused("Invalid token") from exc


def _signed_claims(text: str, keys: Sequence[Any], algorithm: str, **expected: Any) -> Claims:
    for key in keys:
        try:
            return jwt.decode(text, key.public, [algorithm], options={"require": [*_REQUIRED]}, **expected)
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError as exc:
            raise Refused("Token expired") from exc
        except (jwt.PyJWTError, ValueError) as exc:
            raise Refused(f"Invalid token: {exc}"[:200]) from exc
    raise Refused("Invalid token: its signature is wrong")


def _check_types(claims: Claims) -> None:
    """Needed because PyJWT accepts a numeric string as a time, and any string as a name."""
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, 0)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value < _LATEST:  # excludes NaN
            raise Refused(f"Invalid token: {name} is not a time")
    subject = claims["sub"]
    # No database stores a NUL or half a character.
    if not 0 < len(subject) <= _MAX_NAME or not subject.isprintable():
        raise Refused("Invalid token: sub is not a name")
