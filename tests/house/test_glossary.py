"""The glossary has every word that the API shows as a value, once, where one looks for it."""

import re

from jobs.states import JobDeviceState, Milestone, Status
from jobs.waiting.reasons import Holds
from tests.house.named import ROOT

PAGE = (ROOT / "docs" / "glossary.md").read_text()
MEANINGS = dict(re.findall(r"^\| ([^|]+) \| (.+) \|$", PAGE.partition("|---|---|\n")[2], re.MULTILINE))
WORDS = re.findall(r"^\| ([^|]+) \|", PAGE.partition("|---|---|\n")[2], re.MULTILINE)


def test_words_stand_in_their_order_and_once() -> None:
    assert [*WORDS] == sorted(WORDS, key=lambda word: (word.lower(), word.isupper()))
    assert len(WORDS) == len(set(WORDS)) > 70


def test_each_state_has_its_meaning() -> None:
    assert {*map(str, Status), *map(str, JobDeviceState)} <= set(WORDS)


def test_what_holds_a_job_and_each_milestone_are_named() -> None:
    said = MEANINGS["waiting"].lower()
    assert [holds for holds in Holds if holds not in said] == []
    assert MEANINGS["milestone"].partition(": ")[2].split(", ") == [*Milestone]


def test_no_meaning_is_shorter_than_a_phrase() -> None:
    assert [word for word, meaning in MEANINGS.items() if len(meaning) < 20] == []
