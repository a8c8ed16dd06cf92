"""The identity provider that the settings name: its keys, and what its claims say about a person."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from cnaasjobs.conf import conf
from cnaasjobs.identity.key_sources import Coming, FileKeys, KeySource, UrlKeys
from cnaasjobs.identity.verification import Claims, Refused, header_of, verified


class Person(NamedTuple):
    """A person whom the provider knows, as a JWT describes them."""

    issuer: str
    subject: str
    name: str
    groups: frozenset[str]  # ours
    issued: int  # seconds since 1970; 0 if the JWT does not say


def is_accepted() -> bool:
    """Whether the API accepts the provider's JWTs."""
    return bool(conf.jwt_issuer and conf.jwt_audience)


def keys_coming(text: str) -> Coming | None:
    """What checking this JWT would wait for; None: nothing."""
    try:
        header = header_of(text)
    except Refused:
        return None
    algorithm = header.get("alg")
    return keys().coming(header.get("kid"), algorithm) if algorithm in conf.jwt_algorithms else None


def claims_of(text: str, *, audience: str | None = None, may_wait: bool = True) -> Claims:
    """Raises Refused and KeysAway.

    Args:
        audience: whom the JWT is for, if not for the API.
        may_wait: for keys that have to be fetched.
    """
    return verified(
        text,
        keys() if may_wait else keys().at_hand,
        algorithms=conf.jwt_algorithms,
        issuer=conf.jwt_issuer,
        audience=conf.jwt_audience if audience is None else audience,
        leeway=conf.jwt_leeway_seconds,
    )


def person_of(claims: Claims) -> Person:
    name = _claim(claims, conf.jwt_name_claim)
    issued = claims.get("iat")
    return Person(
        issuer=claims["iss"],
        subject=claims["sub"],
        name=name if isinstance(name, str) and name else claims["sub"],
        groups=_groups(_claim(claims, conf.jwt_groups_claim)),
        issued=int(issued) if issued is not None else 0,
    )


def keys() -> KeySource:
    return _keys(conf.jwt_keys_file, conf.jwt_keys_url, conf.jwt_cooldown_seconds)


@lru_cache(maxsize=4)
def _keys(file: Path | None, url: str, cooldown: float) -> KeySource:
    return FileKeys(file) if file is not None else UrlKeys(url, cooldown)


def _claim(claims: Claims, name: str) -> Any:
    """A claim by its name, or by the path to it: some providers have ``{"realm_access": {"roles": […]}}``."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _groups(said: Any) -> frozenset[str]:
    words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    return frozenset(conf.jwt_groups[word] for word in words if isinstance(word, str) and word in conf.jwt_groups)
