"""All places where a person or a program can see a job, for tests that check every one of them."""

from tests.admin.conftest import admin_of
from tests.api.conftest import api
from tests.console.conftest import person_of
from tests.live.conftest import live

__all__ = ["admin_of", "api", "live", "person_of"]
