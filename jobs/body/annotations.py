"""What a body's annotations promise of its arguments."""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter


def adapters(body: Callable[..., Any], signature: inspect.Signature) -> dict[str, TypeAdapter[Any]]:
    """A check for each parameter whose annotation says what it takes; one that cannot be resolved promises nothing."""
    try:
        hints = get_type_hints(inspect.unwrap(body))
    except NameError:  # a name imported only for the type checker
        return {}
    adapters = {}
    for name, parameter in signature.parameters.items():
        if name in hints and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            with contextlib.suppress(PydanticSchemaGenerationError):
                adapters[name] = TypeAdapter(hints[name])
    return adapters
