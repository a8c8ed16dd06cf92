"""Settings that do not fit together are named when a process starts."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from django.core.checks import run_checks
from pytest_django import Settings

from cnaasjobs.conf import WrongSettings, from_environment
from cnaasjobs.startup import problems
from tests.identity.issuer import AUDIENCE, ISSUER, ec_key, jwks, private_pem, public_pem, rsa_key

DEV = {"CNAASJOBS_DEV": "1"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("CNAASJOBS_JWT_ISSUER", "login.example.org", "must be a URL such as https://"),
        ("CNAASJOBS_JWT_ISSUER", "cnaasjobs", "must be a URL such as https://"),
        ("CNAASJOBS_JWT_KEYS_URL", "file:///etc/passwd", "must be a URL such as https://"),
        ("CNAASJOBS_JWT_KEYS_URL", "https://ann:secret@login/keys", "without a password"),
        ("CNAASJOBS_JWT_KEYS_URL", "https://login:x/keys", "must be a URL such as https://"),
        ("CNAASJOBS_JWT_KEYS_URL", "https://[/keys", "must be a URL such as https://"),
        ("CNAASJOBS_JWT_KEYS_URL", "https://login/the keys", "must be a URL such as https://"),
        ("CNAASJOBS_JWT_KEYS_URL", "https://login/keys\x7f", "must be a URL such as https://"),
        ("CNAASJOBS_JWT_ALGORITHMS", "ES256,HS256", "must be one or more of ES256, RS256, not 'HS256'"),
        ("CNAASJOBS_JWT_ALGORITHMS", "none", "must be one or more of ES256, RS256, not 'none'"),
        ("CNAASJOBS_JWT_GROUPS", "netops=operator", 'must be JSON such as {"netops": "operator"}'),
        ("CNAASJOBS_JWT_GROUPS", '{"netops": ["operator"]}', 'must be JSON such as {"netops": "operator"}'),
        ("CNAASJOBS_JWT_GROUPS", '{"": "operator"}', 'must be JSON such as {"netops": "operator"}'),
        ("CNAASJOBS_JWT_GROUPS", '["netops"]', 'must be JSON such as {"netops": "operator"}'),
        ("CNAASJOBS_JWT_LEEWAY_SECONDS", "301", "must be a number from 0 to 300"),
        ("CNAASJOBS_JWT_COOLDOWN_SECONDS", "0", "must be a number from 5 to 3600"),
        ("CNAASJOBS_JWT_LOGIN_MINUTES", "1", "must be a whole number from 5 to 1440"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name: str, text: str, words: str) -> None:
    with pytest.raises(WrongSettings) as caught:
        from_environment({**DEV, name: text})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name} ")
    assert words in line
    assert "secret" not in line


def test_settings_that_fit_together_are_accepted() -> None:
    good = {
        "CNAASJOBS_JWT_ISSUER": ISSUER,
        "CNAASJOBS_JWT_KEYS_URL": "http://[::1]:8080/keys?x=1",
        "CNAASJOBS_JWT_GROUPS": '{"netops": "operator"}',
        "CNAASJOBS_JWT_ALGORITHMS": "RS256",
    }
    _, values = from_environment({**DEV, **good})
    assert values["CNAASJOBS_JWT_GROUPS"] == {"netops": "operator"}


def messages(**values: Any) -> list[str]:
    return [message.msg for message in run_checks()]


def test_a_provider_is_complete_or_not_named(settings: Settings, tmp_path: Path) -> None:
    settings.CNAASJOBS_JWT_KEYS_URL = "https://login/keys"
    assert messages() == [
        "CNAASJOBS_JWT_KEYS_URL is set, and CNAASJOBS_JWT_ISSUER is not: without it no JWT is accepted"
    ]
    settings.CNAASJOBS_JWT_ISSUER = ISSUER
    assert messages() == ["CNAASJOBS_JWT_AUDIENCE is missing: a JWT for another service would be taken for one of ours"]
    settings.CNAASJOBS_JWT_AUDIENCE = AUDIENCE
    assert messages() == []
    settings.CNAASJOBS_JWT_KEYS_URL = ""
    either = "either CNAASJOBS_JWT_KEYS_URL or CNAASJOBS_JWT_KEYS_FILE must be set, and not both"
    assert messages() == [either]
    settings.CNAASJOBS_JWT_ALGORITHMS = []
    assert messages() == ["CNAASJOBS_JWT_ALGORITHMS must not be empty", either]


def test_a_sign_in_is_complete_or_not_named(settings: Settings) -> None:
    settings.CNAASJOBS_OIDC_CLIENT_SECRET, settings.CNAASJOBS_OIDC_TOKEN_URL = "hidden", "https://login/token"
    without = "CNAASJOBS_OIDC_CLIENT_ID is not: without it nobody can sign in there"
    assert messages() == [
        f"CNAASJOBS_OIDC_CLIENT_SECRET is set, and {without}",
        f"CNAASJOBS_OIDC_TOKEN_URL is set, and {without}",
    ]
    settings.CNAASJOBS_OIDC_CLIENT_ID, settings.CNAASJOBS_OIDC_AUTHORIZATION_URL = "us", "https://login/authorize"
    settings.CNAASJOBS_JWT_ISSUER, settings.CNAASJOBS_JWT_KEYS_URL = ISSUER, "https://login/keys"
    assert messages() == []
    settings.CNAASJOBS_OIDC_SCOPES = "profile openidconnect"
    assert messages() == [
        "CNAASJOBS_OIDC_SCOPES must contain openid: without it the provider does not say who somebody is"
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"nonsense", "Expecting value"),
        (private_pem(ec_key("first")), "it is a private key: give the public one"),
        (public_pem(rsa_key("short", 1024)), "no public key for ES256 or RS256 in it"),
        (public_pem(Ed25519PrivateKey.generate()), "no public key for ES256 or RS256 in it"),
        (public_pem(ec_key("first")), ""),
        (jwks(first=ec_key("first")), ""),
    ],
)
def test_the_file_of_the_providers_keys_must_hold_public_keys(
    settings: Settings, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    settings.CNAASJOBS_JWT_ISSUER, settings.CNAASJOBS_JWT_AUDIENCE = ISSUER, AUDIENCE
    settings.CNAASJOBS_JWT_KEYS_FILE = path
    found = messages()
    assert [line.startswith("CNAASJOBS_JWT_KEYS_FILE can't be used: ") and words in line for line in found] == (
        [True] if words else []
    )


def with_a_password(key: Any) -> bytes:
    encrypted = BestAvailableEncryption(b"secret")
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encrypted)
    return pem


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (public_pem(ec_key("login")), "."),
        (private_pem(ec_key("p384")), "not a private key on the curve P-256"),
        (private_pem(rsa_key("second")), "not a private key on the curve P-256"),
        (with_a_password(ec_key("login")), "Password was not given"),
        (private_pem(ec_key("login")), ""),
    ],
)
def test_the_file_of_our_own_key_must_hold_a_private_key(
    settings: Settings, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    settings.CNAASJOBS_JWT_LOGIN = True
    assert messages() == ["CNAASJOBS_JWT_LOGIN_KEY_FILE must be set, because CNAASJOBS_JWT_LOGIN is 1"]
    settings.CNAASJOBS_JWT_LOGIN_KEY_FILE = path
    found = messages()
    assert [line.startswith("CNAASJOBS_JWT_LOGIN_KEY_FILE can't be used: ") and words in line for line in found] == (
        [True] if words else []
    )


@pytest.mark.django_db
def test_groups_that_do_not_exist_and_keys_without_tls_are_reported_at_start(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CNAASJOBS_DEV = False
    settings.CNAASJOBS_JWT_ISSUER, settings.CNAASJOBS_JWT_AUDIENCE = ISSUER, AUDIENCE
    settings.CNAASJOBS_JWT_KEYS_URL = "http://login/keys"
    settings.CNAASJOBS_JWT_GROUPS = {"netops": "nobodies"}
    assert problems() == []
    assert "CNAASJOBS_JWT_GROUPS names the group nobodies, which does not exist" in caplog.messages
    assert any(message.startswith("CNAASJOBS_JWT_KEYS_URL is not https") for message in caplog.messages)


def test_signing_in_at_the_provider_is_complete_or_off(settings: Settings) -> None:
    settings.CNAASJOBS_OIDC_CLIENT_ID = "console"
    assert messages() == [
        "CNAASJOBS_OIDC_CLIENT_ID is set, and CNAASJOBS_JWT_ISSUER is not: without it no JWT is accepted"
    ]
    settings.CNAASJOBS_JWT_ISSUER, settings.CNAASJOBS_JWT_KEYS_URL = ISSUER, "https://login/keys"
    assert messages() == [
        f"CNAASJOBS_OIDC_{name} must be set too, because CNAASJOBS_OIDC_CLIENT_ID is"
        for name in ("CLIENT_SECRET", "AUTHORIZATION_URL", "TOKEN_URL")
    ]
