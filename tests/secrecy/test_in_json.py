"""A secret in any part of a value is found in the JSON text of the whole value, which is checked first."""

import json
import random

from cnaasjobs.secret_forms import Finder, forms
from jobs.outcome import _with_nothing_to_hide, storable_json

_ODD = "ab\\\"'\n\t\x01<&/%\u00e9\u2028 "


def texts() -> list[str]:
    """Secrets of odd characters, the same ones in each run."""
    chosen = random.Random(15)
    return ["".join(chosen.choices(_ODD, k=chosen.randint(4, 12))) for _ in range(300)]


def test_a_secret_is_found_in_each_form_and_place() -> None:
    for secret in texts():
        mask = Finder([("NAME", secret)]).masked
        written = {*forms(secret)}
        for beside in ("", "x", "\\", '"', "\n", "\\\\"):
            for text in {text for form in written for text in (beside + form, form + beside, beside + form + "\\n")}:
                if mask(text) != text:
                    assert _with_nothing_to_hide({"key": [text]}, mask) is None, (secret, text)
                    assert _with_nothing_to_hide({text: 1}, mask) is None, (secret, text)


def test_a_secret_that_json_itself_is_made_of_breaks_nothing() -> None:
    for secret in ("false", "null", '": "', ', "failed"', "1234"):
        mask = Finder([("NAME", secret)]).masked
        value = {"failed": False, "number": 1234, "none": None, "text": "plain"}
        assert json.loads(storable_json(value, what="report", mask=mask)) == value


def test_what_has_no_secret_is_the_same_text() -> None:
    mask = Finder([("NAME", "tiger-lily-42")]).masked
    value = {"config": "hostname a\n", "more": [1, None, {"x": ("y", 2.5)}]}
    assert storable_json(value, what="report", mask=mask) == json.dumps(value, ensure_ascii=False)
