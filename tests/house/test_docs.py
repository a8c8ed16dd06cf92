"""What the docs and docstrings refer to exists."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.house.named import ROOT

PATH = re.compile(r"`((?:benchmarks|cnaasjobs|devices|docs|jobs|locks|tests)/[\w/.-]*)`")
MODULE = re.compile(r"``((?:benchmarks|cnaasjobs|devices|jobs|locks|tests)(?:\.\w+)+)``")
LINK = re.compile(r"\]\(([\w./-]+\.md)\)")
ANCHORED = re.compile(r"\]\(([\w./-]+\.md)?#([\w-]+)\)")
COLUMNS = 120


def _tracked(pattern: str) -> Iterator[tuple[Path, str]]:
    listed = subprocess.run(["git", "ls-files", pattern], cwd=ROOT, capture_output=True, text=True, check=True)
    for path in map(ROOT.joinpath, listed.stdout.split()):
        if path.exists():
            yield path, path.read_text()


def test_every_file_that_the_docs_name_exists() -> None:
    named = [(path, name) for path, text in _tracked("*.md") for name in PATH.findall(text)]
    assert len(named) > 20
    missing = [(path.name, name) for path, name in named if not (ROOT / name).exists() and ".cache" not in name]
    assert missing == []


def test_every_page_that_the_docs_link_to_exists() -> None:
    links = [(path, link) for path, text in _tracked("*.md") for link in LINK.findall(text)]
    assert [(path.name, link) for path, link in links if not (path.parent / link).exists()] == []


def test_every_heading_that_the_docs_link_to_is_there() -> None:
    pages = {path.resolve(): text for path, text in _tracked("*.md")}
    links = [(path, *link) for path, text in pages.items() for link in ANCHORED.findall(text)]
    assert len(links) > 20
    missing = [
        (path.name, page, anchor)
        for path, page, anchor in links
        if anchor not in _anchors(pages[(path.parent / page).resolve() if page else path])
    ]
    assert missing == []


def _anchors(page: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link).resolve() for link in LINK.findall(index.read_text())}
    pages = {path.resolve() for path, _ in _tracked("docs/*.md") if path.parent == index.parent} - {index}
    assert pages - named == set()


def test_no_line_of_the_docs_is_longer_than_120_columns() -> None:
    """Prose, that is: a table's row, a line of code and where a link leads can't be wrapped."""
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path, text in _tracked("*.md")
        for number, line in _prose(text)
        if len(re.sub(r"\]\(\S*\)|https?://\S*", "", line)) > COLUMNS
    ]
    assert long == []


def test_no_page_has_marks_of_an_unfinished_merge() -> None:
    """They may stand in the middle of a line: somebody wrapped the page with them in it."""
    assert [path.name for path, text in _tracked("*.md") if "<" * 7 in text or ">" * 7 in text] == []


def _prose(text: str) -> Iterator[tuple[int, str]]:
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code and not line.startswith(("|", "    ")):
            yield number, line


def test_every_module_that_a_docstring_names_exists() -> None:
    named = [(path, name) for path, text in _tracked("*.py") for name in MODULE.findall(text)]
    assert len(named) > 20
    assert [(str(path.relative_to(ROOT)), name) for path, name in named if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    """A module, what it defines, or a permission of Django's."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.exists():
            rest = parts[length:]
            text = source.read_text()
            return not rest or rest[0] in text or re.fullmatch(r"(add|change|delete|view)_\w+", rest[0]) is not None
    return False
