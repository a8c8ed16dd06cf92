"""How a failure of one device is put into words: short, in one line, and masked before it is cut."""

import traceback

import pytest
from napalm.base.exceptions import ConnectAuthError
from netmiko.exceptions import NetmikoAuthenticationException
from nornir.core.inventory import Host

from cnaasjobs.events import Event
from devices.actions import DeviceAction
from devices.rendering import TemplateFailure
from devices.sync.words import LENGTH, UNSPEAKABLE, DeviceFailure, Words


class Unspeakable(Exception):
    """Not even its traceback can be made."""

    def __str__(self) -> str:
        raise SystemExit

    @property
    def __cause__(self) -> None:  # type: ignore[override]
        raise SystemExit


@pytest.fixture
def words() -> Words:
    return Words(Host("sw1"), 17)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ValueError(), "ValueError"),
        (ValueError("  two\n lines\t"), "two lines"),
        (ValueError("\n\nwhat it is\n\nadvice"), "what it is"),
        (ValueError("x" * 2 * LENGTH), "x" * LENGTH),
        (ConnectAuthError(), "wrong credentials"),
        (ConnectAuthError("for admin"), "wrong credentials (for admin)"),
        (NetmikoAuthenticationException("no\n\nadvice"), "wrong credentials (no)"),
        (ValueError("\x00\udcff"), "\ufffd\\udcff"),
    ],
)
def test_an_exception_is_put_into_one_line(words: Words, raised: Exception, said: str) -> None:
    assert words.of(raised) == said


def test_a_secret_is_masked_before_the_text_is_cut(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPLATE_SECRET_KEY", "Op3nSesame")
    assert words.of(ValueError("x" * (LENGTH - 6) + "Op3nSesame")) == "x" * (LENGTH - 6) + "TEMPLA"
    assert words.of(ValueError("Op3n\n\nSesame")) == "Op3n"  # which is not the secret
    assert words.failure(DeviceFailure("key Op3nSesame")) == "key TEMPLATE_SECRET_KEY"


@pytest.mark.parametrize(
    ("raised", "reason", "traced"),
    [
        (DeviceFailure("no answer"), "no answer", True),
        (TemplateFailure("line 2: 'x' is undefined"), "line 2: 'x' is undefined", True),
        (KeyError("x"), "internal error: KeyError: 'x'", True),
        (Unspeakable(), "internal error: Unspeakable: Unspeakable that can't be shown (SystemExit)", False),
    ],
)
def test_a_failure_is_logged_with_its_traceback_after_what_was_noted(
    words: Words, heard: list[Event], raised: Exception, reason: str, traced: bool
) -> None:
    words.saw("a change of score 2")
    words.saw("committed with a timer")
    assert words.failure(raised) == reason
    seen, failed = heard
    of = {"job_id": 17, "host": "sw1"}
    assert (seen.action, seen.fields) == (
        DeviceAction.DEVICE_SEEN,
        of | {"what": "a change of score 2, committed with a timer"},
    )
    assert failed.action is DeviceAction.DEVICE_FAILED
    assert {key: failed.fields[key] for key in of} == of
    trace = "".join(traceback.format_exception(raised)).rstrip() if traced else ""
    said = reason if traced else "a failure can't be shown: SystemExit"
    assert (failed.fields["reason"], failed.fields["trace"]) == (said, trace)
    words.tell()
    assert len(heard) == 2  # all was told


def test_an_exception_without_any_words_has_a_reason_too(words: Words) -> None:
    class Nameless(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]
            raise KeyboardInterrupt

    class WithoutName(Exception, metaclass=Nameless):
        pass

    assert words.failure(WithoutName()) == UNSPEAKABLE
