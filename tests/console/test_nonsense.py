"""Invalid requests: each page answers with a readable message, never with a server error."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.browser.world import HOSTILE, World, built
from tests.console.conftest import PASSWORD, Person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]

PARAMETERS = (
    *("q", "before", "after", "page", "id", "ids", "all", "only", "device", "name", "find", "part", "next"),
    *("level", "text", "log", "reason", "comment", "pick", "picked"),
)
NONSENSE = {
    "nul": "a\x00b",
    "long": "status:" + "x" * 6000,
    "quotes": "\"'`\\%_*?()[]{}|",
    "hostile": HOSTILE,
    "huge number": "9" * 40,
    "as large as an id": str(2**63 - 1),
    "not UTF-8": "\udcff",
}
SEARCHES = ("a " * 400, 'by:"ann', "-1", "٣", "", "since:99999999999d", "score:>1e400", "device:", "lock:\x00", "::")
IN_FORMS = ("nul", "hostile", "huge number", "not UTF-8")
PATHS = (
    *("%00", "..%2f..%2fetc%2fpasswd", "%ff", "%3Cscript%3E", "x" * 4000, "-1", "9" * 19, "%E2%80%AE"),
    "a%0D%0AX-Evil:%201",
)


@pytest.fixture
def boss() -> Person:
    return Person(User.objects.create_superuser("boss", password=PASSWORD))


@pytest.fixture
def world(boss: Person) -> World:
    return built()


def pages(world: World) -> list[str]:
    job = f"/jobs/{world.dry_run.pk}"
    parts = ("", "/head", "/raw", "/devices.csv", "/diff", "/log", f"/devices/{world.host}", "/run/plan", "/run/failed")
    lists = ("/jobs", "/jobs/rows", "/jobs/abort", "/jobs/failed", "/devices", "/locks", "/timeline", "/workers")
    alone = (f"/devices/{world.host}", "/locks/clear", "/schedules", "/sign-in", f"/jobs/{world.running.pk}")
    return [*lists, *alone, *(job + part for part in parts)]


def as_sent(text: str) -> Any:
    return text.encode("utf-8", "surrogateescape")


def test_a_parameter_may_be_anything(boss: Person, world: World) -> None:
    wrong = []
    for kind, text in NONSENSE.items():
        for address in pages(world):
            response: Any = boss.client.get(address, dict.fromkeys(PARAMETERS, as_sent(text)))
            is_page = response.headers.get("Content-Type", "").startswith("text/html")
            if response.status_code >= 500 or (is_page and b"<script>alert" in response.content):
                wrong.append((kind, address, response.status_code))
    assert wrong == []


def test_a_search_may_be_anything(boss: Person, world: World) -> None:
    found: dict[str, Any] = {text: boss.client.get("/jobs", {"q": as_sent(text)}) for text in SEARCHES}
    assert {text: answer.status_code for text, answer in found.items() if answer.status_code not in (200, 400)} == {}


def test_a_path_may_be_anything(boss: Person, world: World) -> None:
    job = f"/jobs/{world.dry_run.pk}/"
    wrong = []
    for text in PATHS:
        for before in ("/", "/jobs/", job, f"{job}devices/", "/devices/", "/locks/"):
            response: Any = boss.client.get(before + text, headers={"Accept": "text/html"})
            if response.status_code not in (200, 301, 302, 400, 404) or "X-Evil" in response.headers:
                wrong.append((before + text, response.status_code))
    assert wrong == []


def test_a_form_may_hold_anything(boss: Person, world: World) -> None:
    runs = [f"/jobs/{world.dry_run.pk}/run/{kind}" for kind in ("again", "failed", "plan")]
    wrong = []
    for kind, text in ((kind, NONSENSE[kind]) for kind in IN_FORMS):
        fields = dict.fromkeys((*PARAMETERS, "fence", "username", "password"), as_sent(text))
        for address in ("/jobs/abort", "/jobs/failed", "/locks/clear", "/sign-in", *runs):
            for given in (fields, fields | {"ids": str(world.waiting.pk), "name": world.lock}):
                response: Any = boss.client.post(address, given)
                if response.status_code >= 500:
                    wrong.append((kind, address, response.status_code))
    assert wrong == []
