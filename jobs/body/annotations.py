"""What a body's annotations promise of its arguments."""

import contextlib
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError


def adapters(body: Callable[..., Any], signature: inspect.Signature) -> dict[str, TypeAdapter[Any]]:
    """A check for each parameter whose annotation says what it takes; one that cannot be resolved promises nothing."""
    names = inspect.unwrap(body).__globals__
    adapters = {}
    for name, parameter in signature.parameters.items():
        if parameter.annotation is parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
            continue
        # Each by itself: a name imported only for the type checker (NameError) must not leave the others unchecked.
        with contextlib.suppress(NameError, PydanticSchemaGenerationError):
            alone = SimpleNamespace(__annotations__={name: parameter.annotation})
            adapters[name] = TypeAdapter(get_type_hints(alone, names)[name])
    return adapters


def why_not(adapter: TypeAdapter[Any], value: Any) -> str | None:
    """Why it is not such a value, in words; None if it is."""
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError as exc:
        return str(exc.errors(include_url=False, include_context=False)[0]["msg"])
    return None
