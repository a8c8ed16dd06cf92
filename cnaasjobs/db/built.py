"""Django queries that each process builds only once, because building them takes longer than running them."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from django.db import connection
from django.db.models import QuerySet

K = TypeVar("K", bound=Hashable)

_STANDS_FOR: Final = -(2**62)  # a placeholder for the number: no id, and nothing else in a query, looks like it


class _Built(NamedTuple):
    sql: str
    parameters: tuple[Any, ...]
    converters: Mapping[int, tuple[list[Callable[..., Any]], Any]]  # by column: what converts its value to Django's


class Built:
    """A query for values, in which at most one number varies, such as a job's id.

    Args:
        make: makes the query for a number. It is called once for each kind of database.
    """

    def __init__(self, make: Callable[[int], QuerySet[Any, tuple[Any, ...]]]) -> None:
        self._make = make
        self._built: dict[str, _Built] = {}

    def rows(self, number: int = 0) -> list[tuple[Any, ...]]:
        sql, parameters, converters = self._of_this_database()
        with connection.cursor() as cursor:
            cursor.execute(sql, [number if each == _STANDS_FOR else each for each in parameters])
            found: list[tuple[Any, ...]] = cursor.fetchall()
        if not converters:
            return found
        return [tuple(_converted(value, converters.get(place)) for place, value in enumerate(row)) for row in found]

    def _of_this_database(self) -> _Built:
        built = self._built.get(connection.vendor)
        if built is None:
            compiler: Any = self._make(_STANDS_FOR).query.get_compiler(connection=connection)
            sql, parameters = compiler.as_sql()
            columns = [column for column, *_ in compiler.select[: compiler.col_count]]
            built = self._built[connection.vendor] = _Built(sql, parameters, compiler.get_converters(columns))
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
