"""What a body's annotations promise of its arguments."""

import contextlib
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError


def adapters(body: Callable[..., Any], signature: inspect.Signature) -> dict[str, TypeAdapter[Any]]:
    """A check for each parameter whose annotation says what it takes; one that cannot be resolved promises nothing."""
    names = inspect.unwrap(body).__globals__
    adapters = {}
    for name, parameter in signature.parameters.items():
        if parameter.annotation is parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
            continue
        # Each by itself: a name imported only for the type checker (NameError) must not leave the others unchecked.
        with contextlib.suppress(NameError, PydanticUserError):  # such as typing's TypedDict before Python 3.12
            alone = SimpleNamespace(__annotations__={name: parameter.annotation})
            adapters[name] = TypeAdapter(get_type_hints(alone, names)[name])
    return adapters


def why_not(adapter: TypeAdapter[Any], value: Any) -> str | None:
    """Why it is not such a value, in words; None if it is."""
    try:
        taken = adapter.validate_python(value, strict=True)
    except ValidationError as exc:
        return str(exc.errors(include_url=False, include_context=False)[0]["msg"])
    if (model := _model_in(taken)) is not None:
        return f"the body gets what JSON has: annotate it as a dict, and make the {model} in the body"
    return None


def _model_in(value: Any) -> str | None:
    """The name of a pydantic model among the values that the annotation promises; the body would get a dict."""
    if isinstance(value, BaseModel):
        return type(value).__name__
    within = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((model for each in within if (model := _model_in(each)) is not None), None)
