"""What a client may ask of device_syncto: the keys of the body, their types, and what they mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings

from cnaasjobs.api.errors import BadRequest
from cnaasjobs.api.times import parse_time
from devices.selection import SelectionError, Selector

SELECTORS = ("hostname", "device_type", "group", "all")
FLAGS = {"dry_run": True, "force": False, "resync": False, "auto_push": False}
TEXTS = {"comment": 255, "ticket_ref": 32}
KEYS = (*SELECTORS, *FLAGS, "confirm_mode", *TEXTS, "start_at")


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """A request that is complete and well-formed; whether the inventory knows its devices is another matter."""

    selector: Selector
    options: Mapping[str, Any]
    at: datetime | None
    comment: str | None
    ticket_ref: str | None

    def arguments(self) -> dict[str, Any]:
        """As arguments of the job."""
        return {**self.selector.arguments(), **self.options}


def parse(body: Mapping[str, Any], *, hostname: str | None = None) -> SyncRequest:
    """Read a body; ``hostname`` comes from the URL.

    Raises:
        BadRequest: names the key that is unknown or has a wrong value.
    """
    given = {key: value for key, value in body.items() if value is not None}
    unknown = [key for key in given if key not in KEYS]
    if unknown:
        raise BadRequest(f"Unknown key in request: {', '.join(key[:100] for key in unknown[:10])}")
    return SyncRequest(
        selector=_selector(given, hostname),
        options={
            **{name: _flag(given, name, default) for name, default in FLAGS.items()},
            "confirm_mode": _confirm_mode(given),
        },
        at=_time(given),
        comment=_text(given, "comment"),
        ticket_ref=_text(given, "ticket_ref"),
    )


def _selector(given: Mapping[str, Any], hostname: str | None) -> Selector:
    # Existing clients send "all": false beside a host name.
    chosen = {key: given[key] for key in SELECTORS if given.get(key, False) is not False}
    for key, value in chosen.items():
        if key == "all" and value is not True:
            raise BadRequest("all must be true or false")
        if key != "all" and not isinstance(value, str):
            raise BadRequest(f"{key} must be a string")
    if hostname is not None:
        if any(key != "hostname" or value != hostname for key, value in chosen.items()):
            raise BadRequest(f"The URL names the device: {', '.join(chosen)} must be absent from the body")
        chosen = {"hostname": hostname}
    if len(chosen) != 1:
        named = f", not {' and '.join(chosen)}" if chosen else ""
        raise BadRequest(f"Exactly one of hostname, device_type, group or all must be given{named}")
    try:
        if "hostname" in chosen:
            return Selector(hostnames=(chosen["hostname"],))
        return Selector(**chosen)
    except SelectionError as exc:
        raise BadRequest(str(exc)) from exc


def _flag(given: Mapping[str, Any], name: str, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"{name} must be true or false")
    return value


def _confirm_mode(given: Mapping[str, Any]) -> int:
    value = given.get("confirm_mode", settings.CNAASJOBS_CONFIRM_MODE)
    if isinstance(value, bool) or not isinstance(value, int) or value not in (0, 1, 2):
        raise BadRequest("confirm_mode must be 0, 1 or 2")
    return value


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be a string")
    if len(value) > TEXTS[name]:
        raise BadRequest(f"{name} must not be longer than {TEXTS[name]} characters")
    return value


def _time(given: Mapping[str, Any]) -> datetime | None:
    value = given.get("start_at")
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequest("start_at must be a string")
    try:
        return parse_time(value)
    except ValueError as exc:
        raise BadRequest(f"start_at {exc}") from exc
