"""requirements.txt names what the product imports, and nothing that only its tests need."""

import ast
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.services.processes import ROOT

ROOMS = ("cnaasjobs", "jobs", "locks", "devices")
FILES = ("manage.py", "gunicorn.conf.py")
# Imported by others, where a setting of ours or a row asks for it.
BY_OTHERS = {
    "redis": "kombu's Redis transport",
    "ephem": "celery's solar schedules",
    "wsproto": "uvicorn's",
    "drf-spectacular-sidecar": "the page that shows the API's description",
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(file: str) -> set[str]:
    lines = (ROOT / file).read_text().splitlines()
    return {canonical(line.partition("==")[0]) for line in lines if re.match(r"[A-Za-z]", line)}


@cache
def sources() -> dict[Path, ast.Module]:
    paths = [*(path for room in ROOMS for path in (ROOT / room).rglob("*.py")), *(ROOT / file for file in FILES)]
    return {path: ast.parse(path.read_text()) for path in paths}


def imported() -> set[str]:
    """Top-level names of the packages of others."""
    names = set()
    for tree in sources().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - {*sys.stdlib_module_names, *ROOMS}


def named_in_strings() -> set[str]:
    """What settings name for Django or the log to import: "whitenoise.middleware.WhiteNoiseMiddleware"."""
    texts = (node.value for tree in sources().values() for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text.partition(".")[0] for text in texts if isinstance(text, str) and re.fullmatch(r"\w+(\.\w+)+", text)}


def test_every_import_of_the_product_is_named() -> None:
    distributions = packages_distributions()
    unnamed = {
        name
        for name in imported()
        if not {canonical(each) for each in distributions[name]} & required("requirements.txt")
    }
    assert unnamed == set()


def test_nothing_is_named_that_the_product_does_not_use() -> None:
    used = imported() | named_in_strings()
    provided = {canonical(each) for name, of in packages_distributions().items() if name in used for each in of}
    assert required("requirements.txt") - provided == set(BY_OTHERS)


def test_the_product_and_its_testing_helpers_import_without_what_tests_need() -> None:
    missing = ("pytest", "pytest_django", "hypothesis", "playwright", "tests", "benchmarks")
    ours = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources()
        if path.name != "__main__.py" and path.parent != ROOT
    ]
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
        "import django, importlib; django.setup(set_prefix=False)\n"
        f"for name in {ours!r}: importlib.import_module(name)"
    )
    env = {"PATH": "", "CNAASJOBS_DEV": "1", "DJANGO_SETTINGS_MODULE": "cnaasjobs.settings"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
