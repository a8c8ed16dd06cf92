"""What front ends ask of the server itself."""

import re
import tomllib
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from cnaasjobs.version import VERSION
from tests.api.conftest import Api
from tests.services.processes import ROOT

pytestmark = pytest.mark.django_db

READS = {"pages": ["*"], "rights": ["read"]}
STARTS = {"pages": ["Config change", "Devices", "Groups"], "rights": ["write"]}
ABORTS = {"pages": ["Jobs"], "rights": ["write"]}


@pytest.mark.parametrize(
    ("permissions", "shown"),
    [
        (["jobs.view_job", "jobs.add_job", "jobs.abort_job"], [{"pages": ["*"], "rights": ["*"]}]),
        (["jobs.view_job"], [READS]),
        (["jobs.view_job", "jobs.add_job"], [READS, STARTS]),
        (["jobs.view_job", "jobs.abort_job"], [READS, ABORTS]),
        ([], []),
    ],
)
def test_permissions_in_the_words_of_the_existing_front_end(
    api_of: Callable[[User], Api], user_with: Callable[..., User], permissions: list[str], shown: list[object]
) -> None:
    assert api_of(user_with(*permissions)).get("/auth/permissions").data == shown


def test_nobody_is_told_permissions_without_a_token(tokens_required: None) -> None:
    assert Api().get("/auth/permissions").status == 401


def test_a_development_server_permits_everything(api: Api) -> None:
    assert api.get("/auth/permissions").data == [{"pages": ["*"], "rights": ["*"]}]


def test_the_version_is_the_projects(api: Api) -> None:
    found = api.get("/system/version").data
    assert found["version"] == VERSION
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
    assert re.fullmatch(r"Commit [0-9a-f]{40} \S+ by .+ at .+|Not a git repository", found["git_version"])
