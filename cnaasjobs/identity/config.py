"""Checks that the settings about identity fit together, and that what they name exists."""

from collections.abc import Iterator

from cnaasjobs.conf import Conf, conf


def problems() -> Iterator[str]:
    """Why nothing should start with these settings, in words."""
    yield from _of_provider()
    if conf.jwt_login:
        yield from _of_login()


def _of_provider() -> Iterator[str]:
    needed = (Conf.jwt_audience, Conf.jwt_keys_url, Conf.jwt_keys_file, Conf.jwt_groups, Conf.oidc_client_id)
    of_sign_in = (Conf.oidc_client_secret, Conf.oidc_authorization_url, Conf.oidc_token_url)
    if not conf.oidc_client_id:
        for part in of_sign_in:
            if conf.value_of(part.name):
                yield f"{part.name} is set, and {Conf.oidc_client_id.name} is not: without it nobody can sign in there"
    if not conf.jwt_issuer:
        for variable in needed:
            if conf.value_of(variable.name):
                yield f"{variable.name} is set, and {Conf.jwt_issuer.name} is not: without it no JWT is accepted"
        return
    if not conf.jwt_audience and not conf.oidc_client_id:
        yield f"{Conf.jwt_audience.name} is missing: a JWT for another service would be taken for one of ours"
    if conf.oidc_client_id:
        for part in of_sign_in:
            if not conf.value_of(part.name):
                yield f"{part.name} must be set too, because {Conf.oidc_client_id.name} is"
        if "openid" not in conf.oidc_scopes.split():
            yield f"{Conf.oidc_scopes.name} must contain openid: without it the provider does not say who somebody is"
    if not conf.jwt_algorithms:
        yield f"{Conf.jwt_algorithms.name} must not be empty"
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
