"""Settings under which every kind of user can use every kind of credential."""

from pathlib import Path
from typing import Any

import pytest

from tests.identity.conftest import accepted, login
from tests.permissions.who import GROUPS, make_groups

__all__ = ["accepted", "login"]


@pytest.fixture
def every_way(db: None, login: None, accepted: Path, settings: Any) -> None:
    make_groups()
    settings.CNAASJOBS_JWT_GROUPS = {name: name for name in GROUPS} | {name: name for name in GROUPS.values()}
