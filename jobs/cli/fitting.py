"""Tables that fit a person's terminal: words stay whole, and columns that are needed less go where there is no room."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_BETWEEN: Final = 2  # characters between two columns
_LESS_NEEDED: Final = (  # dropped in this order
    "comment",
    "step",
    "score",
    "worker",
    "took",
    "next in line",
    "by",
    "since (UTC)",
    "when (UTC)",
    "devices",
    "function",
    "waits for",
)
_WHOLE: Final = frozenset({"took", "score", "since (UTC)", "when (UTC)"})  # meaningless when cut
_SENTENCES: Final = frozenset({"reason", "waits for"})
_OF_A_SENTENCE: Final = 30  # characters at least: a narrower column would be very tall
_NAMES: Final = frozenset({"function", "lock", "device", "by"})
_OF_A_NAME: Final = 30  # characters; a longer name is folded, so that its column need not be dropped


class FittingTable(Table):
    """A table that drops columns to fit the terminal. A pipe has unlimited width, and gets all columns.

    Args:
        nothing: what a terminal shows of a table without rows; a pipe has the heads.
    """

    def __init__(self, *columns: str, nothing: str = "") -> None:
        super().__init__(box=None, pad_edge=False, header_style="bold")
        self._nothing = nothing
        for column in columns:
            self.add_column(column, overflow="fold")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        if self._nothing and not self.row_count and console.is_terminal:
            yield Text(self._nothing, style="dim")
            return
        sizes = {column.header: _size(console, column) for column in self.columns}
        for header in _LESS_NEEDED:
            if _total([size.minimum for size in sizes.values()]) > options.max_width:
                sizes.pop(header, None)
        room = options.max_width - _total([size.minimum for size in sizes.values()])
        shown = [column for column in self.columns if column.header in sizes]
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in shown:
            size = sizes[column.header]
            more = max(0, min(room, size.maximum - size.minimum))
            table.add_column(column.header, overflow="fold", width=size.minimum + more if room >= 0 else None)
            room -= more
        for cells in zip(*(column.cells for column in shown), strict=True):
            table.add_row(*cells)
        yield table


def _size(console: Console, column: Column) -> Measurement:
    """Its longest word, unless that is a very long name, or what else must stay together; and its longest line."""
    unbounded = console.options.update(max_width=100_000)
    sizes = [Measurement.get(console, unbounded, cell) for cell in (column.header, *column.cells)]
    least, most = max(size.minimum for size in sizes), max(size.maximum for size in sizes)
    if column.header in _WHOLE:
        least = most
    elif column.header in _SENTENCES:
        least = max(least, min(most, _OF_A_SENTENCE))
    elif column.header in _NAMES:
        least = min(least, _OF_A_NAME)
    return Measurement(least, most)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * (len(widths) - 1)
