"""Checks that the settings about identity fit together, and that what they name exists."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from cnaasjobs.conf import Conf, conf
from cnaasjobs.conf.variables import Variable

_OF_JWTS: Final = (
    Conf.jwt_audience,
    Conf.jwt_keys_url,
    Conf.jwt_keys_file,
    Conf.jwt_groups,
    Conf.oidc_client_id,
)
_OF_SIGN_IN: Final = (Conf.oidc_client_secret, Conf.oidc_authorization_url, Conf.oidc_token_url)


def problems() -> Iterator[str]:
    """Why nothing should start with these settings, in words."""
    yield from _of_provider()
    if conf.jwt_login:
        yield from _of_login()


def _of_provider() -> Iterator[str]:
    if not conf.oidc_client_id:
        yield from _in_vain(_OF_SIGN_IN, Conf.oidc_client_id, "nobody can sign in there")
    if not conf.jwt_issuer:
        yield from _in_vain(_OF_JWTS, Conf.jwt_issuer, "no JWT is accepted")
        return
    if conf.oidc_client_id:
        yield from _of_sign_in()
    elif not conf.jwt_audience:
        yield f"{Conf.jwt_audience.name} is missing: a JWT for another service would be taken for one of ours"
    if not conf.jwt_algorithms:
        yield f"{Conf.jwt_algorithms.name} must not be empty"
    yield from _of_keys()


def _in_vain(variables: Sequence[Variable[Any]], missing: Variable[Any], effect: str) -> Iterator[str]:
    for variable in variables:
        if conf.value_of(variable.name):
            yield f"{variable.name} is set, and {missing.name} is not: without it {effect}"


def _of_sign_in() -> Iterator[str]:
    for variable in _OF_SIGN_IN:
        if not conf.value_of(variable.name):
            yield f"{variable.name} must be set too, because {Conf.oidc_client_id.name} is"
    if "openid" not in conf.oidc_scopes.split():
        yield f"{Conf.oidc_scopes.name} must contain openid: without it the provider does not say who somebody is"


def _of_keys() -> Iterator[str]:
    if bool(conf.jwt_keys_url) == bool(conf.jwt_keys_file):
        yield f"either {Conf.jwt_keys_url.name} or {Conf.jwt_keys_file.name} must be set, and not both"
    if conf.jwt_keys_file is not None:
        from cnaasjobs.identity.keys import parsed  # imports cryptography, which only this setting needs

        try:
            parsed(conf.jwt_keys_file.read_bytes())
        except (OSError, ValueError) as exc:
            yield f"{Conf.jwt_keys_file.name} can't be used: {exc}"


def _of_login() -> Iterator[str]:
    from cnaasjobs.identity.own import signing_key

    if conf.jwt_login_key_file is None:
        yield f"{Conf.jwt_login_key_file.name} must be set, because {Conf.jwt_login.name} is 1"
        return
    try:
        signing_key()
    except (OSError, ValueError) as exc:
        yield f"{Conf.jwt_login_key_file.name} can't be used: {exc}"


def unwise() -> Iterator[str]:
    """What is allowed but unwise in production."""
    if conf.jwt_keys_url.startswith("http://"):
        yield f"{Conf.jwt_keys_url.name} is not https: anybody in between can replace the keys"
    if conf.oidc_token_url.startswith("http://"):
        yield f"{Conf.oidc_token_url.name} is not https: anybody in between can read the client's secret"


def missing_groups() -> list[str]:
    """Groups that CNAASJOBS_JWT_GROUPS names and that do not exist. Asks the database."""
    from django.contrib.auth.models import Group

    wanted = set(conf.jwt_groups.values())
    return sorted(wanted - set(Group.objects.filter(name__in=wanted).values_list("name", flat=True))) if wanted else []
