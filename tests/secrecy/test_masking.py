"""Secrets of templates, however they appear."""

import base64
import json
import urllib.parse

import pytest
from jinja2 import Environment

from cnaasjobs.secrecy import Secrets, mask_all, storable
from cnaasjobs.secrecy import mask as mask_now

SECRET = "pa$$ w0rd\"'<&>\\é/+"


def mask(text: str, **variables: str) -> str:
    return Secrets({f"TEMPLATE_SECRET_{name}": value for name, value in variables.items()}).mask(text)


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        repr(SECRET),
        repr(KeyError(SECRET)),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        urllib.parse.quote(SECRET),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        Environment().from_string("{{ x | e }}").render(x=SECRET),
        Environment().from_string("{{ x | tojson }}").render(x=SECRET),
        SECRET.upper(),
        SECRET.lower(),
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ],
)
def test_every_form_of_a_value_becomes_its_name(shown: str) -> None:
    masked = mask(f"before {shown} after", X=SECRET)
    assert "w0rd" not in masked.lower()
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "TEMPLATE_SECRET_X" in masked


@pytest.mark.parametrize("depth", range(1, 9))
def test_a_secret_is_masked_however_often_a_message_quotes_a_message(depth: int) -> None:
    for quotes in (json.dumps, repr, lambda text: json.dumps(text, ensure_ascii=False), lambda text: repr([text])):
        for last in (json.dumps, repr):
            shown = SECRET
            for _ in range(depth):
                shown = quotes(shown)
            masked = mask(f"a {last(shown)} z", X=SECRET)
            assert "w0rd" not in masked
            assert masked.count("TEMPLATE_SECRET_X") == 1
            assert (masked[:2], masked[-2:]) == ("a ", " z")


@pytest.mark.parametrize("secret", ["it's caf\u00e9", 'say "caf\u00e9"'])
def test_a_secret_is_masked_as_python_writes_a_text_that_holds_one_kind_of_quotes(secret: str) -> None:
    for shown in (ascii(secret), repr(secret.encode()), repr(secret)):
        assert "caf" not in mask(shown, X=secret)


def test_short_values_and_lines_are_found_only_as_they_are() -> None:
    """Anything else made of them occurs in too much innocent text."""
    text = f"huntr HUNTR {base64.b64encode(b'huntr').decode()} {b'huntr'.hex()}"
    assert mask(text, X="huntr") == text.replace("huntr", "TEMPLATE_SECRET_X")
    assert mask("end longer-line", X="longer-line\nend") == "end TEMPLATE_SECRET_X"


def test_all_texts_of_a_json_value_are_masked_its_keys_too() -> None:
    value = {"of hunter2": ["hunter2", 5, None, True, ("hunter2", {"a": "hunter2"})], 7: 1.5}
    masked = mask_all(value, lambda text: mask(text, X="hunter2"))
    name = "TEMPLATE_SECRET_X"
    assert masked == {f"of {name}": [name, 5, None, True, [name, {"a": name}]], 7: 1.5}


def test_backslashes_beside_a_secret_stay() -> None:
    assert mask(r"\\host\\share x\\\hunter2\\y", X="hunter2") == r"\\host\\share x\\\TEMPLATE_SECRET_X\\y"
    assert mask("a\\\\b hunter2 c", X="hunter2") == "a\\\\b TEMPLATE_SECRET_X c"


def test_each_line_of_a_long_secret_is_masked_in_a_diff() -> None:
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nq83vEjRWeJq83v\n-----END KEY-----\n"
    masked = mask("".join(f"+   {line}\n" for line in key.splitlines()), KEY=key)
    assert "MIIE" not in masked
    assert "q83v" not in masked


def test_a_secret_that_contains_another_is_masked_whole() -> None:
    assert mask("x hunter2-long y hunter2 z", A="hunter2", B="hunter2-long") == (
        "x TEMPLATE_SECRET_B y TEMPLATE_SECRET_A z"
    )


def test_a_secret_that_looks_like_a_name_does_not_garble_names() -> None:
    assert mask("SECRET and hunter2", A="SECRET", B="hunter2") == "TEMPLATE_SECRET_A and TEMPLATE_SECRET_B"


def test_the_same_value_twice_shows_the_first_name() -> None:
    assert mask("hunter2", B="hunter2", A="hunter2") == "TEMPLATE_SECRET_A"


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_value_masks_nothing(empty: str) -> None:
    assert mask("a b\nc", X=empty) == "a b\nc"


def test_without_secrets_text_stays_as_it_is() -> None:
    assert mask("hostname sw1\n") == "hostname sw1\n"


def test_only_the_prefix_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_A", "one-value")
    monkeypatch.setenv("OTHER", "two-value")
    found = Secrets.from_environment()
    assert found.variables == {"TEMPLATE_SECRET_A": "one-value"}
    monkeypatch.setenv("TEMPLATE_SECRET_A", "another-value")
    assert Secrets.from_environment().mask("another-value") == "TEMPLATE_SECRET_A"


def test_what_changes_in_the_environment_is_known_at_once_and_a_former_value_by_its_present_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_A", "one-value")
    assert mask_now("one-value") == "TEMPLATE_SECRET_A"
    assert mask_all(["one-value"]) == ["TEMPLATE_SECRET_A"]
    for name, value in (("A", "new-value"), ("B_2", "other-value")):
        monkeypatch.setenv(f"TEMPLATE_SECRET_{name}", value)
    for name, value in (("A", "one-value"), ("A_2", "old-value"), ("B_2", "long-gone"), ("GONE_13", "last-value")):
        monkeypatch.setenv(f"FORMER_TEMPLATE_SECRET_{name}", value)
    assert mask_now("new-value one-value old-value other-value long-gone last-value") == (
        "TEMPLATE_SECRET_A TEMPLATE_SECRET_A TEMPLATE_SECRET_A TEMPLATE_SECRET_B_2 TEMPLATE_SECRET_B_2"
        " TEMPLATE_SECRET_GONE"
    )


def test_what_a_database_cannot_hold_is_replaced() -> None:
    assert storable("a\x00b") == "a\ufffdb"
    assert storable("é\udc80") == "é\\udc80"
