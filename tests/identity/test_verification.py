"""Which JWTs count. Each refusal is for the reason that its test names, and for no other."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest

from cnaasjobs.identity.keys import Key, fitting, parsed
from cnaasjobs.identity.verification import MAX_LENGTH, Refused, is_jwt, verified
from tests.identity.issuer import AUDIENCE, ISSUER, claims, ec_key, jwk, jwks, public_pem, rsa_key, signed

KEYS = jwks(first=ec_key("first"), second=rsa_key("second"))


class Known:
    """The provider's keys; counts what is looked for."""

    def __init__(self, content: bytes = KEYS) -> None:
        self.keys = parsed(content)
        self.wanted: list[tuple[str | None, str]] = []

    def find(self, kid: str | None, algorithm: str) -> list[Key]:
        self.wanted.append((kid, algorithm))
        return fitting(self.keys, kid, algorithm)


def check(text: str, *, content: bytes = KEYS, **changed: Any) -> dict[str, Any]:
    expected = {"algorithms": ["ES256", "RS256"], "issuer": ISSUER, "audience": AUDIENCE, "leeway": 5, **changed}
    return verified(text, Known(content), **expected)


def refused(text: str, words: str, **changed: Any) -> None:
    with pytest.raises(Refused, match=words):
        check(text, **changed)


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def test_a_good_jwt_of_either_algorithm_is_accepted() -> None:
    assert check(signed())["sub"] == "4711"
    assert check(signed(rsa_key("second"), kid="second"))["sub"] == "4711"
    assert check(signed(aud=["other", AUDIENCE]))["sub"] == "4711"
    assert check(signed(kid=None))["sub"] == "4711"


def test_a_jwt_without_a_signature_is_refused() -> None:
    for algorithm in ("none", "None", "", None, ["ES256"], 5):
        refused(f"{part({'alg': algorithm, 'kid': 'first'})}.{part(claims())}.", "must be made with ES256 or RS256")
    refused(f"{part({'kid': 'first'})}.{part(claims())}.", "must be made with ES256 or RS256")


@pytest.mark.parametrize("key", [ec_key("first"), rsa_key("second")])
def test_a_jwt_signed_by_hmac_with_the_public_key_as_its_secret_is_refused(key: Any) -> None:
    """Code that takes the algorithm from the JWT checks this with the public key, and finds it right."""
    head = f"{part({'alg': 'HS256', 'kid': 'first'})}.{part(claims())}"
    signature = hmac.digest(public_pem(key), head.encode(), hashlib.sha256)
    refused(f"{head}.{part(signature)}", "must be made with ES256 or RS256")


def test_an_algorithm_that_the_settings_leave_out_is_refused() -> None:
    refused(signed(rsa_key("second"), kid="second"), "must be made with ES256", algorithms=["ES256"])


def test_a_jwt_signed_with_another_key_is_refused() -> None:
    refused(signed(ec_key("strange")), "its signature is wrong")
    refused(signed(ec_key("strange"), kid="strange"), "its key is not one of its issuer's")
    refused(signed(rsa_key("second"), kid="first"), "its key is not one of its issuer's")


def test_a_jwt_whose_claims_were_changed_is_refused() -> None:
    head, _, signature = signed().split(".")
    refused(f"{head}.{part(claims(sub='1'))}.{signature}", "its signature is wrong")


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_the_url_of_a_key_that_it_brings_along_is_not_looked_at(name: str) -> None:
    known = Known()
    text = signed(ec_key("strange"), header={name: "http://127.0.0.1:1/keys"})
    with pytest.raises(Refused, match="its signature is wrong"):
        verified(text, known, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)
    assert known.wanted == [("first", "ES256")]


def test_a_key_that_it_brings_along_is_not_looked_at() -> None:
    refused(signed(ec_key("strange"), header={"jwk": jwk(ec_key("strange"), "first")}), "its signature is wrong")


def test_a_jwt_whose_header_demands_an_extension_is_refused() -> None:
    refused(signed(header={"crit": ["b64"], "b64": False}), "Invalid token")
    refused(signed(header={"crit": ["exp"], "exp": 1}), "Invalid token")


@pytest.mark.parametrize("name", ["exp", "iss", "aud", "sub"])
def test_a_jwt_that_lacks_a_claim_is_refused(name: str) -> None:
    refused(signed(**{name: None}), f'Token is missing the "{name}" claim')


def test_a_jwt_that_is_over_or_not_yet_valid_is_refused() -> None:
    now = claims()["iat"]
    refused(signed(exp=now - 60), "Token expired")
    refused(signed(nbf=now + 600), "not yet valid")
    refused(signed(iat=now + 600), "not yet valid")
    assert check(signed(exp=now - 60), leeway=120)


def test_a_jwt_of_another_issuer_or_for_another_service_is_refused() -> None:
    refused(signed(iss="https://login.example.org/realms/other"), "Invalid issuer")
    refused(signed(aud="other"), "Audience")
    refused(signed(aud=[f"{AUDIENCE}2"]), "Audience")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("exp", "99999999999", "exp is not a time"),
        ("exp", True, "Token expired"),
        ("exp", 10**30, "exp is not a time"),
        ("exp", float("inf"), "must be an integer"),
        ("exp", float("nan"), "must be an integer"),
        ("exp", [1], "must be an integer"),
        ("exp", {}, "must be an integer"),
        ("iat", "5", "iat is not a time"),
        ("iat", -(10**30), "iat is not a time"),
        ("iat", False, "iat is not a time"),
        ("nbf", "5", "nbf is not a time"),
        ("iss", 5, "must be a string"),
        ("iss", [ISSUER], "must be a string"),
        ("aud", 5, "Invalid claim format"),
        ("aud", {AUDIENCE: 1}, "Invalid claim format"),
        ("aud", [5, AUDIENCE], "Invalid claim format"),
        ("sub", 4711, "Subject must be a string"),
        ("sub", "", "sub is not a name"),
        ("sub", "a\x00b", "sub is not a name"),
        ("sub", "\ud800", "sub is not a name"),
        ("sub", "a" * 256, "sub is not a name"),
    ],
)
def test_a_jwt_with_a_claim_of_another_type_is_refused(name: str, value: Any, words: str) -> None:
    refused(signed(**{name: value}), words)


def test_a_jwt_that_is_too_long_is_refused() -> None:
    text = signed(padding="x" * MAX_LENGTH)
    assert len(text) > MAX_LENGTH
    refused(text, "it is too long")


@pytest.mark.parametrize(
    "text",
    [
        "..",
        "a.b.c",
        f"{part([])}.{part(claims())}.AAAA",
        f"{part(b'[' * 4000)}.AAAA.AAAA",
        f"{part({'alg': 'ES256', 'kid': 5})}.AAAA.AAAA",
        f"{part('é'.encode('latin-1'))}.AAAA.AAAA",
        f"{part({'alg': 'ES256', 'kid': 'first'})}.{part(claims())}.!!!!",
        "é.é.é",
    ],
)
def test_an_invalid_jwt_is_refused(text: str) -> None:
    assert is_jwt(text)
    refused(text, "Invalid token")


@pytest.mark.parametrize("payload", [b"[]", b"nonsense", b"\xff", b"[" * 3000, b'"' + b"1" * 5000 + b'"', b"1" * 5000])
def test_signed_claims_that_are_no_object_are_refused(payload: bytes) -> None:
    refused(jwt.api_jws.encode(payload, ec_key("first"), "ES256", {"kid": "first"}), "Invalid")


def test_keys_that_sign_nothing_for_us_are_left_out() -> None:
    listed = [
        jwk(ec_key("first"), "first"),
        jwk(ec_key("p384"), "p384"),
        jwk(rsa_key("short", 1024), "short"),
        jwk(rsa_key("second"), "sealing", use="enc"),
        jwk(rsa_key("second"), "pss", alg="PS256"),
        jwk(ec_key("first"), 5),  # type: ignore[arg-type]
        {"kty": "oct", "kid": "shared", "k": "AAAA"},
        {"kty": "EC", "crv": "P-256", "x": 5, "y": None, "kid": "broken"},
        {"kty": "RSA", "n": "AQAB", "e": "AA", "kid": "broken"},
        {"kty": ["EC"], "kid": "broken"},
        "nonsense",
    ]
    assert [key.kid for key in parsed(json.dumps({"keys": listed}).encode())] == ["first"]


def test_no_more_keys_are_kept_than_one_jwt_may_cost() -> None:
    content = jwks(**{f"key{number}": ec_key("first") for number in range(60)})
    assert [key.kid for key in parsed(content)] == [f"key{number}" for number in range(50)]


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b'{"keys": {}}', b'{"keys": []}', b"[" * 9999, b"\xff", b"-----BEGIN X-----"],
)
def test_an_invalid_set_of_keys_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(content)
