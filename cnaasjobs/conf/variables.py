"""The kinds of environment variables: how each parses its text, what it allows, and how it refuses.

``table`` lists the variables. A refusal quotes the text only where it cannot be a secret.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Generic, Self, TypeVar, cast, overload

from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")


class WrongSettings(ImproperlyConfigured):
    """What is missing or wrong: one line for each variable."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))


class Variable(Generic[T]):
    """One variable of a table.

    On an instance of the table the attribute is the value, on the class it is this object.
    """

    allowed = ""  # as the documentation shows it

    def __init__(self, default: T, means: str, *, name: str = "", shown: str = "", required: bool = False) -> None:
        """
        Args:
            default: its value when it is unset or empty.
            means: for the documentation. The unit is in the name.
            name: where it is not ``CNAASJOBS_`` and the attribute in capitals.
            shown: the default as the documentation shows it, where that is not simply the value.
            required: production has no default for it.
        """
        self.default = default
        self.means = means
        self.name = name
        self.required = required
        self._shown = shown

    def __set_name__(self, table: type, attribute: str) -> None:
        self.name = self.name or f"CNAASJOBS_{attribute.upper()}"

    @overload
    def __get__(self, table: None, owner: type) -> Self: ...
    @overload
    def __get__(self, table: "Table", owner: type) -> T: ...
    def __get__(self, table: "Table | None", owner: type) -> Self | T:
        if table is None:
            return self
        value: T = table.value_of(self.name)  # not typing.cast, which costs a call: a device reads a dozen
        return value

    @property
    def shown(self) -> str:
        parts = ["**required**"] if self.required else []
        if self._shown or not parts:
            parts.append(self._shown or self.text(self.default))
        return "; ".join(parts)

    def text(self, value: T) -> str:
        """A value as the documentation shows it."""
        return f"`{value}`" if value else "none"

    def read(self, text: str) -> T:
        """Raises ValueError, whose text follows the variable's name."""
        raise NotImplementedError

    def wrong(self, value: T) -> str:
        """Why the value is not allowed, in words that follow the variable's name; empty if it is."""
        return ""


class Number(Variable[T]):
    """From ``low`` to ``high``, both included and finite."""

    kind = "a number"

    def __init__(self, default: T, low: float, high: float, means: str, *, shown: str = "") -> None:
        super().__init__(default, means, shown=shown)
        self.low, self.high = low, high
        self.allowed = f"{low} to {high}"

    def text(self, value: T) -> str:
        return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"

    def read(self, text: str) -> T:
        try:
            return cast(T, self._number(text))
        except ValueError:
            raise ValueError(self._must_be(repr(text))) from None

    def wrong(self, value: T) -> str:
        if value is None and self.default is None:
            return ""
        fits = isinstance(value, int | float) and self.low <= value <= self.high
        return "" if fits else self._must_be(str(value))

    def _number(self, text: str) -> float:
        return float(text)

    def _must_be(self, given: str) -> str:
        return f"must be {self.kind} from {self.allowed}, not {given}"


class Real(Number[float]):
    pass


class RealOrNone(Number[float | None]):
    pass


class Whole(Number[int]):
    kind = "a whole number"

    def _number(self, text: str) -> int:
        return int(text)


class Flag(Variable[bool]):
    allowed = "`0` or `1`"

    def text(self, value: bool) -> str:
        return "`1`" if value else "`0`"

    def read(self, text: str) -> bool:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ValueError(f"must be 0 or 1, not {text!r}")
        return text.lower() in _TRUE


class Choice(Variable[str]):
    def __init__(self, default: str, choices: tuple[str, ...], means: str) -> None:
        super().__init__(default, means)
        self.choices = choices
        self.allowed = ", ".join(f"`{choice}`" for choice in choices)

    def read(self, text: str) -> str:
        if text.upper() not in self.choices:
            raise ValueError(f"must be one of {', '.join(self.choices)}, not {text!r}")
        return text.upper()


class Location(Variable[Path]):
    """A file or directory. It need not exist at start: the code that needs it says so."""

    def read(self, text: str) -> Path:
        return Path(text).resolve()


class LocationOrNone(Variable[Path | None]):
    def read(self, text: str) -> Path | None:
        return Path(text).resolve()


class Parsed(Variable[T]):
    """What ``parse`` makes of the text; it raises ValueError, whose text follows the variable's name."""

    def __init__(
        self,
        default: T,
        parse: Callable[[str], T],
        means: str,
        *,
        name: str = "",
        shown: str = "none",
        required: bool = False,
    ) -> None:
        super().__init__(
            default, means, name=name, shown="" if required and shown == "none" else shown, required=required
        )
        self._parse = parse

    def read(self, text: str) -> T:
        return self._parse(text)


class Texts(Variable[list[str]]):
    """Comma-separated; spaces around an item are ignored. ``item`` reads each, and raises like ``parse``."""

    def __init__(
        self,
        means: str,
        *,
        item: Callable[[str], str] = str,
        default: tuple[str, ...] = (),
        name: str = "",
        required: bool = False,
    ) -> None:
        super().__init__([*default], means, name=name, required=required)
        self._item = item

    def text(self, value: list[str]) -> str:
        return f"`{','.join(value)}`" if value else "none"

    def read(self, text: str) -> list[str]:
        return [self._item(part.strip()) for part in text.split(",") if part.strip()]

    def wrong(self, value: list[str]) -> str:
        try:
            for item in value:
                self._item(item)
        except ValueError as exc:
            return str(exc)
        return ""


class Table:
    """A class of variables. An instance knows where their values are."""

    def __init__(self, value_of: Callable[[str], Any]) -> None:
        self.value_of = value_of

    @classmethod
    def variables(cls) -> Iterator[Variable[Any]]:
        return (variable for variable in vars(cls).values() if isinstance(variable, Variable))

    @classmethod
    def read(cls, environ: Mapping[str, str], *, production: bool) -> tuple[dict[str, Any], list[str]]:
        """The values by name, and a line for each variable that is missing or wrong. An empty one counts as unset."""
        values: dict[str, Any] = {}
        lines = []
        for variable in cls.variables():
            text = environ.get(variable.name, "").strip()
            try:
                value = values[variable.name] = variable.read(text) if text else variable.default
                is_missing = production and variable.required and not text
                problem = "is missing: production has no default for it" if is_missing else variable.wrong(value)
            except ValueError as exc:
                problem = str(exc)
            if problem:
                lines.append(f"{variable.name} {problem}")
        return values, lines
