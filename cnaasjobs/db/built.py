"""Django queries that each process builds only once, because building them takes longer than running them."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from django.db import connection
from django.db.models import QuerySet

K = TypeVar("K", bound=Hashable)

# Placeholders for the number and the text that vary: nothing else in a query looks like them.
_NUMBER: Final = -(2**62)
_TEXT: Final = "\N{REPLACEMENT CHARACTER} stands for a text"


class _Built(NamedTuple):
    sql: str
    parameters: tuple[Any, ...]
    varying: tuple[tuple[int, int], ...]  # which parameter is which of the values
    converters: Mapping[int, tuple[list[Callable[..., Any]], Any]]  # by column: what converts its value to Django's


class Built:
    """A query for values, in which at most one number and one text vary, such as a job's id and a device's name.

    Args:
        make: makes the query for a number, or for a number and a text, which must be compared as it is. It is called
            once for each kind of database.
    """

    def __init__(self, make: Callable[..., QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._make = make
        self._built: dict[str, _Built] = {}

    def rows(self, number: int = 0, *text: str) -> list[tuple[Any, ...]]:
        """``text``: for a query with a text, always that one."""
        sql, stored, varying, converters = self._of_this_database(is_with_text=bool(text))
        values, parameters = (number, *text), list(stored)
        for place, which in varying:
            parameters[place] = values[which]
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        if not converters:
            return found
        return [tuple(_converted(value, converters.get(place)) for place, value in enumerate(row)) for row in found]

    def _of_this_database(self, *, is_with_text: bool) -> _Built:
        built = self._built.get(connection.vendor)
        if built is None:
            stand_ins = (_NUMBER, _TEXT) if is_with_text else (_NUMBER,)
            compiler: Any = self._make(*stand_ins).query.get_compiler(connection=connection)
            sql, parameters = compiler.as_sql()
            varying = tuple(
                (place, stand_ins.index(each)) for place, each in enumerate(parameters) if each in stand_ins
            )
            if is_with_text and 1 not in dict(varying).values():
                raise ValueError("the query does not compare the text as it is")
            columns = [column for column, *_ in compiler.select[: compiler.col_count]]
            built = _Built(sql, parameters, varying, compiler.get_converters(columns))
            self._built[connection.vendor] = built
        return built


class HaveRows(Generic[K]):
    """Which of several queries have a row, in one statement. Each is built once for each kind of database."""

    def __init__(self, make: Mapping[K, Callable[[], QuerySet[Any]]]) -> None:
        self._make = make
        self._built: dict[tuple[K, str], tuple[str, tuple[Any, ...]]] = {}

    def among(self, asked: Collection[K]) -> set[K]:
        """The keys, among these, whose queries have a row."""
        built = [self._of_this_database(key) for key in asked]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {', '.join(f'EXISTS({sql})' for sql, _ in built)}",
                [parameter for _, parameters in built for parameter in parameters],
            )
            return {key for key, has_rows in zip(asked, cursor.fetchone(), strict=True) if has_rows}

    def _of_this_database(self, key: K) -> tuple[str, tuple[Any, ...]]:
        place = key, connection.vendor
        if place not in self._built:
            compiler = self._make[key]().query.exists().get_compiler(connection=connection)
            self._built[place] = compiler.as_sql()
        return self._built[place]


def _converted(value: Any, by: tuple[list[Callable[..., Any]], Any] | None) -> Any:
    if by is not None:
        for convert in by[0]:
            value = convert(value, by[1], connection)
    return value
