"""Tables that fit a person's terminal: columns that are needed less go where there is no room.

A sentence goes below its row where a column of it would cost one that is needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

_BETWEEN: Final = 2  # characters between two columns
_SPARE: Final = ("comment", "step", "score", "worker", "took")  # dropped in this order
_NEEDED: Final = ("by", "since (UTC)", "when (UTC)", "devices", "function")  # dropped last, in this order
_WHOLE: Final = frozenset({"took", "score", "since (UTC)", "when (UTC)", "job"})  # clumsy when cut
_SENTENCES: Final = frozenset({"reason", "waits for", "in line"})
_OF_A_SENTENCE: Final = 30  # characters at least: a narrower column would be very tall
_OF_A_WORD: Final = 30  # a longer one is folded, so that its column need not be dropped
_SQUEEZED: Final = 12  # the same where a column that is needed would have to go

Sizes = Mapping[str, Measurement]


class FittingTable(Table):
    """A table that drops columns to fit the terminal. A pipe has unlimited width, and gets all columns.

    Args:
        nothing: what a terminal shows of a table without rows; a pipe has the heads.
    """

    def __init__(self, *columns: str, nothing: str = "") -> None:
        super().__init__(*columns)
        self._nothing = nothing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self._nothing and not self.row_count and console.is_terminal:
            yield Text(self._nothing, style="dim")
            return
        sizes = {str(column.header): _size(console, column) for column in self.columns}
        fitting = _fitting(sizes, options.max_width, _SPARE)
        if fitting is None:
            short = {header: size for header, size in sizes.items() if header not in _SENTENCES}
            fitting = _fitting(short, options.max_width, _SPARE) or _squeezed(short, options.max_width)
        yield from self._parts(_widths(fitting, options.max_width))

    def _parts(self, widths: Mapping[str, int | None]) -> Iterator[RenderableType]:
        """Tables of the same widths, with the sentences between them that have no column."""
        beside = [column for column in self.columns if column.header in widths]
        below = [[*column.cells] for column in self.columns if column.header in _SENTENCES - widths.keys()]
        table = _part(widths, with_heads=True)
        for number, cells in enumerate(zip(*(column.cells for column in beside), strict=True)):
            table.add_row(*cells)
            said = " ".join(filter(None, (str(sentences[number]) for sentences in below)))
            if said:
                yield table
                yield Padding(Text(said, style="dim"), (0, 0, 0, _BETWEEN))
                table = _part(widths, with_heads=False)
        yield table


def _part(widths: Mapping[str, int | None], *, with_heads: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=with_heads)
    for header, width in widths.items():
        table.add_column(header, overflow="fold", width=width)
    return table


def _size(console: Console, column: Column) -> Measurement:
    """Its longest word, unless that is very long, or what else must stay together; and its longest line."""
    unbounded = console.options.update(max_width=100_000)
    sizes = [Measurement.get(console, unbounded, cell) for cell in (column.header, *column.cells)]
    least, most = max(size.minimum for size in sizes), max(size.maximum for size in sizes)
    if column.header in _WHOLE:
        return Measurement(most, most)
    return Measurement(min(most, _OF_A_SENTENCE) if column.header in _SENTENCES else min(least, _OF_A_WORD), most)


def _squeezed(sizes: Sizes, width: int) -> Sizes:
    """Without all that is spare, with words folded, and without more where that is not enough."""
    narrow = {
        header: size if header in _WHOLE else Measurement(min(size.minimum, _SQUEEZED), size.minimum)
        for header, size in sizes.items()
        if header not in _SPARE
    }
    return _fitting(narrow, width, _NEEDED) or {
        header: size for header, size in narrow.items() if header not in _NEEDED
    }


def _fitting(sizes: Sizes, width: int, less_needed: Sequence[str]) -> Sizes | None:
    """Those that fit when as few as possible are dropped, in this order. None if dropping all these is not enough."""
    for count in range(len(less_needed) + 1):
        kept = {header: size for header, size in sizes.items() if header not in less_needed[:count]}
        if _least(kept) <= width:
            return kept
    return None


def _widths(sizes: Sizes, width: int) -> dict[str, int | None]:
    """What is left over goes to the first that need it."""
    room = width - _least(sizes)
    if room < 0:  # a tiny terminal
        return dict.fromkeys(sizes)
    widths: dict[str, int | None] = {}
    for header, size in sizes.items():
        more = min(room, size.maximum - size.minimum)
        widths[header] = size.minimum + more
        room -= more
    return widths


def _least(sizes: Sizes) -> int:
    return sum(size.minimum for size in sizes.values()) + _BETWEEN * (len(sizes) - 1)
