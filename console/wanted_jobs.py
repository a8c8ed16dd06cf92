"""Which part of the list of jobs a page's URL asks for, in what order, and the URLs of other parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlencode

from django.http import QueryDict

from console.templatetags.looks import address
from jobs.search.ordered import ORDERS
from jobs.search.qualifiers import id_of

# The columns of the list, and the order that the first click on each selects; "-" means the greatest first.
COLUMNS: Final = {
    "Job": "function_name",
    "State": "status",
    "Devices": "",
    "By": "scheduled_by",
    "Comment": "",
    "When": "-start_time",
    "Took": "-took",
    "Score": "-change_score",
}
_DIGITS: Final = 4  # of a page's number


class Head(NamedTuple):
    """A column's heading. Its URL is empty if the list can't be sorted by that column."""

    title: str
    url: str
    order: str  # as aria-sort has it; empty if the list is sorted by another column


@dataclass(frozen=True, kw_only=True)
class JobQuery:
    line: str = ""  # the search
    before: int | None = None  # only jobs with ids below this
    after: int | None = None  # or the next above this
    sort: str = ""  # one of ORDERS, or that with "-" before it; empty: the newest first
    page: int = 1  # of a sorted list
    pick: str = ""  # "shown": the rows are selected

    @classmethod
    def of(cls, query: QueryDict) -> Self:
        sort, page, pick = (query.get(name, "") for name in ("sort", "page", "pick"))
        is_sorted = sort.removeprefix("-") in ORDERS
        return cls(
            line=query.get("q", "").strip(),
            before=id_of(query.get("before", "")),
            after=None if is_sorted else id_of(query.get("after", "")),
            sort=sort if is_sorted else "",
            page=max(1, id_of(page[:_DIGITS]) or 1) if is_sorted else 1,
            pick=pick if pick == "shown" else "",
        )

    @property
    def is_newest(self) -> bool:
        """Whether a job that is made now would be shown on top."""
        return not (self.before or self.after or self.sort)

    def url(self, **changed: Any) -> str:
        """The URL of this part of the list, with what is named changed."""
        values = {
            "q": self.line,
            "before": self.before,
            "after": self.after,
            "sort": self.sort,
            "page": self.page if self.page > 1 else None,
            "pick": self.pick,
            **changed,
        }
        query = urlencode({name: value for name, value in values.items() if value not in ("", None)})
        return f"{address('console:jobs')}{f'?{query}' if query else ''}"

    def heads(self, newer: int | None) -> Iterator[Head]:
        """Each leads to the same jobs in its order, then in the opposite one, then to the newest first.

        Args:
            newer: the jobs that are newer than these have ids above this; None: there are none.
        """
        here = {"before": newer and newer + 1, "after": None, "page": None, "pick": None} if not self.sort else {}
        for title, first in COLUMNS.items():
            name, second = first.removeprefix("-"), _opposite(first)
            order = "" if not name or self.sort not in (first, second) else _ORDER[self.sort.startswith("-")]
            following = {first: second, second: ""}.get(self.sort, first)
            url = self.url(**{"page": None, "pick": None, **here, "sort": following}) if name else ""
            yield Head(title, url, order)


_ORDER: Final = {False: "ascending", True: "descending"}


def _opposite(sort: str) -> str:
    return sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"
