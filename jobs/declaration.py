"""Checks what ``@job`` is given, while its module is imported: a mistake is then named with its file and line.

Celery checks neither: it accepts any option, and if two tasks have one name it runs the first for both.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Final

from celery import Task
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.schedulable import HIGHEST_PRIORITY

_LONGEST_SHOWN: Final = 128 - len(" (dry_run)")  # of a function's name: its column has 128
_BY_NAME_ALONE: Final = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Errors = Sequence[type[BaseException]]


class _Options(BaseModel):
    """The options that exist, and which values each may have. ``jobs.task.job`` says what they mean."""

    model_config = ConfigDict(extra="forbid", strict=True)

    lock: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    lock_wait: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    queue: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    priority: Annotated[int, Field(ge=0, le=HIGHEST_PRIORITY)] = 0
    time_limit: _Seconds | None = None
    soft_time_limit: _Seconds | None = None
    rerun_if_lost: bool = False
    helpers: Annotated[int, Field(ge=0, le=1000)] = 0
    function_name: Annotated[str, Field(min_length=1, max_length=_LONGEST_SHOWN)] | None = None
    check: Callable[..., Any] | None = None
    approval: Callable[..., Any] | None = None
    permission: Annotated[str, Field(pattern=r"^\w+\.\w+$")] | None = None
    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    # Celery's
    autoretry_for: _Errors = ()
    dont_autoretry_for: _Errors = ()
    max_retries: Annotated[int, Field(ge=0)] | None = None
    default_retry_delay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0
    retry_backoff: bool | Annotated[float, Field(gt=0, allow_inf_nan=False)] = False
    retry_backoff_max: Annotated[int, Field(gt=0)] = 0
    retry_jitter: bool = True
    retry_kwargs: dict[str, Any] = {}


def check_options(options: Mapping[str, Any]) -> None:
    """Raises TypeError for an option that does not exist, ValueError for one with an invalid value."""
    for name in options:
        if name not in _Options.model_fields:
            raise TypeError(f"@job: {_unknown(name)}")
    try:
        checked = _Options.model_validate(options)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        raise ValueError(f"@job: {name} is {options[name]!r:.60}: {first['msg']}") from None
    if checked.approval is not None and checked.lock is None:
        raise ValueError("@job: a job with approval= must have a lock, and this one has none")
    if checked.lock_wait is not None and checked.lock is None:
        raise ValueError("@job: lock_wait= says how long to wait for the lock, and this job has none")
    soft, hard = checked.soft_time_limit, checked.time_limit
    if soft is not None and hard is not None and soft >= hard:
        raise ValueError(f"@job: soft_time_limit {soft:g} must be less than time_limit {hard:g}")


def _unknown(name: str) -> str:
    if hasattr(Task, name):
        return f"Celery's option {name} does not apply to a job"
    close = get_close_matches(name, _Options.model_fields, n=1)
    return f"there is no option {name}{f', did you mean {close[0]}?' if close else ''}"


def is_plain(function: Callable[..., Any]) -> bool:
    """Whether a call of it does its work: one of the others returns something that would do it."""
    others = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    return not any(ask(function) for ask in others)


def check_body(body: Callable[..., Any], name: str | None) -> None:
    """Raises TypeError if a worker could not call it, ValueError if its name is too long or another job's."""
    if not inspect.isroutine(body):
        raise TypeError(f"@job takes a function, and its options by name: not {body!r:.60}")
    named = name or f"{body.__module__}.{body.__name__}"
    if not is_plain(body):
        raise TypeError(f"{named} must be a plain function, neither async nor a generator")
    kinds = [parameter.kind for parameter in inspect.signature(body).parameters.values()]
    if not kinds or kinds[0] in _BY_NAME_ALONE:
        raise TypeError(f"{named} must take its JobContext first, as in def {body.__name__}(ctx, *, …)")
    if inspect.Parameter.VAR_POSITIONAL in kinds[1:] and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise TypeError(f"{named} must take its arguments by name, and those of a * would never be given")
    if inspect.Parameter.POSITIONAL_ONLY in kinds[1:]:
        raise TypeError(f"{named} must take its arguments by name, and those before the / can't be given so")
    if len(named) > 255 or len(body.__name__) > _LONGEST_SHOWN:
        raise ValueError(f"{named} has too long a name: give it a shorter one, with name= and function_name=")
    _take(named, body)


_places: dict[str, tuple[str, int]] = {}


def _take(name: str, body: Callable[..., Any]) -> None:
    code = inspect.unwrap(body).__code__
    here = (code.co_filename, code.co_firstlineno)  # a module that is loaded twice has the same
    there = _places.setdefault(name, here)
    if there != here:
        places = " and ".join(f"{file}, line {line}" for file, line in (there, here))
        raise ValueError(f"two jobs have the name {name}: {places}")
