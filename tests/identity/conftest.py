"""A provider whose JWTs the API accepts."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission

from cnaasjobs.identity import fetching, key_sources
from tests.api.conftest import tokens_required, user_with
from tests.identity.issuer import AUDIENCE, ISSUER, ec_key, jwks, private_pem

__all__ = ["tokens_required", "user_with"]


@pytest.fixture(autouse=True)
def _a_machine_may_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is not what most tests are about."""
    for module in (fetching, key_sources):
        monkeypatch.setattr(module, "WAIT_SECONDS", 30.0)


@pytest.fixture
def accepted(settings: Any, tmp_path: Path) -> Path:
    """The file with the provider's keys."""
    path = tmp_path / "provider-keys"
    path.write_bytes(jwks(first=ec_key("first")))
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    settings.CNAASJOBS_JWT_ISSUER = ISSUER
    settings.CNAASJOBS_JWT_AUDIENCE = AUDIENCE
    settings.CNAASJOBS_JWT_KEYS_FILE = path
    settings.CNAASJOBS_JWT_GROUPS = {"netops": "writers", "noc": "readers"}
    return path


@pytest.fixture
def login(settings: Any, tmp_path: Path) -> None:
    """JWTs of our own are on."""
    path = tmp_path / "login-key"
    path.write_bytes(private_pem(ec_key("login")))
    settings.CNAASJOBS_REQUIRE_TOKEN = True
    settings.CNAASJOBS_JWT_LOGIN = True
    settings.CNAASJOBS_JWT_LOGIN_KEY_FILE = path


@pytest.fixture
def groups(db: None) -> dict[str, Group]:
    """Two that the claim decides, and one that it does not."""
    may = {"readers": ["view_job"], "writers": ["view_job", "abort_job"], "locks": ["view_lock"]}
    made = {name: Group.objects.create(name=name) for name in may}
    for name, codenames in may.items():
        made[name].permissions.set(Permission.objects.filter(codename__in=codenames))
    return made
