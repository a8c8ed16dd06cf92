"""What this process has counted itself, and not stored yet."""

import threading

from django.utils import timezone

from cnaasjobs.events import Event, subscribe
from jobs.actions import JobAction
from jobs.metrics.families import LOOKED, PUBLISH_FAILURES, READERS, READERS_DROPPED, REPAIRS, SUCCESS
from jobs.metrics.kept import Additions
from jobs.upkeep_steps import REPAIRING, UpkeepStep

_mutex = threading.Lock()
_seen = Additions()


def saw(event: Event) -> None:
    """A subscriber: in the path of every job, so it only counts."""
    if event.action is JobAction.PUBLISH_FAILED:
        with _mutex:
            _seen.count(PUBLISH_FAILURES, by=float(event.fields.get("messages", 1)))


def step_done(step: UpkeepStep, repaired: int) -> None:
    """A step of upkeep succeeded in this process."""
    with _mutex:
        _seen.state(SUCCESS, step.value, value=timezone.now().timestamp())
        if repaired and step in REPAIRING:
            _seen.count(REPAIRS, step.value, by=repaired)


def reader_dropped(what: str) -> None:
    with _mutex:
        _seen.count(READERS_DROPPED, what)


def listened(readers: int, *, looked: float | None) -> None:
    """How many listen to live events, and when (epoch seconds) the feed was last looked at for them."""
    with _mutex:
        _seen.state(READERS, value=readers)
        if looked is not None:
            _seen.state(LOOKED, value=looked)


def taken() -> Additions:
    """All of it, once. ``give_back`` what could not be stored."""
    global _seen
    with _mutex:
        found, _seen = _seen, Additions()
    return found


def give_back(found: Additions) -> None:
    with _mutex:
        _seen.include(found)


def listen() -> None:
    """Call once, when Django is ready."""
    subscribe(saw)
