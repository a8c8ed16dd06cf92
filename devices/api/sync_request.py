"""What a client may ask of device_syncto: the keys of the body, their types, and what they mean.

Types are strict: "false" is not a boolean and 1 is not text, because a client that mixes them up must not start a live
run. Two exceptions for existing clients remain: null counts as absent for every key, and so does false for the four
with which they select devices.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from cnaasjobs.api.errors import BadRequest
from cnaasjobs.api.times import parse_time
from cnaasjobs.conf import conf
from devices.selection import Selector, few
from jobs.schedulable import ScheduleOptions

FALSE_IS_ABSENT = ("hostname", "device_type", "group", "all")
SELECTORS = ("hostname", "hostnames", "device_type", "group", "all", "failed_of", "plan")
_NO_SUCH_NUMBER = ("int_type", "greater_than_equal", "less_than_equal", "less_than")
OPTIONS = ("dry_run", "force", "resync", "auto_push", "confirm_mode")


@dataclass(frozen=True)
class FailedOf:
    """The devices that a job left undone."""

    job_id: int


@dataclass(frozen=True)
class PlanOf:
    """The devices of a dry run, to be changed as it showed."""

    job_id: int


@dataclass(frozen=True, kw_only=True)
class SyncRequest:
    """A complete and well-formed request; whether there are such devices is checked later."""

    selection: Selector | FailedOf | PlanOf
    options: Mapping[str, Any]
    scheduling: ScheduleOptions


def _time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "")
    return parse_time(value)


class SyncBody(BaseModel):
    """The body of device_syncto. Exactly one of ``SELECTORS`` says which."""

    model_config = ConfigDict(strict=True, extra="forbid")

    hostname: str | None = Field(None, description="One device, by its name in the inventory.")
    hostnames: list[str] | None = Field(None, min_length=1, description="Several devices by their names, each once.")
    device_type: str | None = Field(None, description="All devices of a type: ACCESS, DIST or CORE, in any case.")
    group: str | None = Field(None, description="All devices of a group of the inventory, including its subgroups.")
    all: bool | None = Field(None, description="All devices.")
    failed_of: int | None = Field(
        None, ge=1, lt=2**63, description="The devices that this job left undone: failed, lost, or never begun."
    )
    plan: int | None = Field(
        None, ge=1, lt=2**63, description="Apply this dry run: its devices, live, each only if it changes as shown."
    )
    dry_run: bool = Field(True, description="Only show what would change; false with a plan.")
    force: bool = Field(False, description="Overwrite what was changed outside since our last commit.")
    resync: bool = Field(False, description="Also push to devices that are in sync.")
    auto_push: bool = Field(False, description="If a dry run of one device shows a small change, push it.")
    confirm_mode: int = Field(  # not a Literal: to pydantic true and 1.0 are the 1 in it
        default_factory=lambda: conf.confirm_mode,
        ge=0,
        le=2,
        description="0 commits, 1 confirms each device separately, 2 is all devices or none.",
    )
    start_at: Annotated[datetime, BeforeValidator(_time)] | None = Field(
        None, description="When it is due, in UTC unless it has an offset. Default: now."
    )
    comment: str | None = Field(None, max_length=255)
    ticket_ref: str | None = Field(None, max_length=32)


def parse(body: Mapping[str, Any], *, hostname: str | None = None) -> SyncRequest:
    """Read a body; ``hostname`` comes from the URL.

    Raises:
        BadRequest: names the key that is unknown or has a wrong value.
    """
    try:
        given = SyncBody.model_validate({key: value for key, value in body.items() if not _absent(key, value)})
    except ValidationError as exc:
        raise BadRequest(_refusal(exc.errors(include_url=False))) from exc
    selection = _selection(given.model_dump(include=set(SELECTORS), exclude_unset=True), hostname)
    options = given.model_dump(include=set(OPTIONS))
    if isinstance(selection, PlanOf):
        if given.dry_run and "dry_run" in given.model_fields_set:
            raise BadRequest("A plan is applied live: dry_run must be false or absent")
        options["dry_run"] = False
    return SyncRequest(
        selection=selection,
        options=options,
        scheduling={"at": given.start_at, "comment": given.comment, "ticket_ref": given.ticket_ref},
    )


def _absent(key: str, value: Any) -> bool:
    return value is None or (value is False and key in FALSE_IS_ABSENT)


def _refusal(errors: list[ErrorDetails]) -> str:
    if unknown := [str(error["loc"][0])[:100] for error in errors if error["type"] == "extra_forbidden"]:
        return f"Unknown key in request: {', '.join(unknown[:10])}"
    error = errors[0]
    name, *items = error["loc"]
    context = error.get("ctx", {})
    words = {
        "string_type": "must be a string",
        "bool_type": "must be true or false",
        "list_type": "must be a list of hostnames",
        "too_short": "must name at least one device",
        **dict.fromkeys(_NO_SUCH_NUMBER, "must be 0, 1 or 2" if name == "confirm_mode" else "must be the id of a job"),
        "string_too_long": f"must not be longer than {context.get('max_length')} characters",
        "value_error": str(context.get("error")),
    }
    if items:
        return f"{name} must be a list of hostnames: its item {int(items[0]) + 1} {words[error['type']]}"
    return f"{name} {words[error['type']]}"


def _selection(chosen: dict[str, Any], hostname: str | None) -> Selector | FailedOf | PlanOf:
    if hostname is not None:
        if any(key != "hostname" or value != hostname for key, value in chosen.items()):
            raise BadRequest(f"The URL names the device: {', '.join(chosen)} must be absent from the body")
        chosen = {"hostname": hostname}
    if len(chosen) != 1:
        named = f", not {' and '.join(chosen)}" if chosen else ""
        raise BadRequest(f"Exactly one of {', '.join(SELECTORS[:-1])} or {SELECTORS[-1]} must be given{named}")
    if "hostname" in chosen:
        return Selector(hostnames=(chosen["hostname"],))
    if "hostnames" in chosen:
        return Selector(hostnames=_each_once(chosen["hostnames"]))
    if "failed_of" in chosen:
        return FailedOf(chosen["failed_of"])
    if "plan" in chosen:
        return PlanOf(chosen["plan"])
    return Selector(**chosen)


def _each_once(hostnames: Sequence[str]) -> tuple[str, ...]:
    if twice := [name for name, count in Counter(hostnames).items() if count > 1]:
        raise BadRequest(f"hostnames must name each device once: {few(twice)}")
    return tuple(hostnames)
