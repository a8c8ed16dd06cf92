"""One event, all subscribers."""

import json
import logging
import logging.config
from typing import Any

import pytest
from pythonjsonlogger.json import JsonFormatter

from cnaasjobs.events import Action, Event, record, subscribe, unsubscribe
from cnaasjobs.logs import logging_config


class Happening(Action):
    CALM = "calm", logging.INFO, "%(who)s is calm", "from"
    STORM = "storm", logging.ERROR, "a storm"
    WHISPER = "whisper", logging.DEBUG, "%(who)s whispers"


def test_a_subscriber_hears_the_action_its_fields_and_what_was_raised(heard: list[Event]) -> None:
    trouble = ValueError("wind")
    record(Happening.CALM, {"from": "here"}, who="sea")
    record(Happening.STORM, exc=trouble)
    assert heard == [(Happening.CALM, {"from": "here", "who": "sea"}, None), (Happening.STORM, {}, trouble)]


def test_the_log_has_action_and_fields_at_the_top_of_its_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    record(Happening.CALM, {"from": "here"}, who="sea")
    record(Happening.WHISPER, who="wind")
    (written,) = caplog.records
    config = logging_config("INFO", JsonFormatter)
    formatter: Any = logging.config.DictConfigurator(config).configure_formatter(config["formatters"]["json"])
    line = json.loads(formatter.format(written))
    assert (line["message"], line["action"], line["from"], line["who"]) == ("sea is calm", "calm", "here", "sea")
    assert (line["level"], line["logger"]) == ("INFO", "tests")


def test_the_log_has_the_traceback_of_what_was_raised(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("wind")
    except ValueError as exc:
        record(Happening.STORM, exc=exc)
    assert "ValueError: wind" in caplog.text
    assert "Traceback" in caplog.text


def test_a_subscriber_that_raises_stops_neither_what_happened_nor_the_others(
    heard: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("out of order")

    subscribe(broken)
    subscribe(heard.append)
    try:
        record(Happening.STORM)
    finally:
        unsubscribe(broken)
        unsubscribe(heard.append)
    assert len(heard) == 2
    assert "a subscriber failed at storm" in caplog.text
