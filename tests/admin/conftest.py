"""Users of the admin with the permissions that a test names, and what a page says."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

AdminOf = Callable[..., "Admin"]
VIEWS = ("jobs.view_job", "locks.view_lock", "jobs.view_heartbeat", "jobs.view_auditentry")


class Admin:
    """A browser without rendering: the address of a page is below ``/admin``."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client(headers={"Host": "localhost"})
        self.client.force_login(user)

    def get(self, path: str, *, status: int = 200) -> str:
        """The page's text, its markup taken out."""
        return self._text(self.client.get(f"/admin{path}"), status)

    def get_redirected(self, path: str) -> str:
        return self._text(self.client.get(f"/admin{path}", follow=True), 200)

    def raw(self, path: str) -> str:
        return self.client.get(f"/admin{path}").content.decode()

    def post(self, path: str, data: dict[str, Any] | None = None, *, status: int = 200) -> str:
        """The text of the page that one ends on."""
        return self._text(self.client.post(f"/admin{path}", data or {}, follow=True), status)

    @staticmethod
    def _text(response: Any, status: int) -> str:
        assert response.status_code == status, (response.status_code, response.headers)
        body = response.content.decode()
        assert "Traceback (most recent call last)" not in body or "job-exception" in body
        words = html.unescape(re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", body, flags=re.DOTALL))
        return re.sub(r"\s+", " ", words)


@pytest.fixture
def admin_of(db: None) -> AdminOf:
    """Makes a member of staff with these permissions."""

    def make(*permissions: str, name: str = "operator") -> Admin:
        user = User.objects.create_user(name, password="correct horse", is_staff=True)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return Admin(user)

    return make


@pytest.fixture
def viewer(admin_of: AdminOf) -> Admin:
    """May see everything of the platform, and change nothing."""
    return admin_of(*VIEWS, "django_celery_beat.view_periodictask", name="viewer")


@pytest.fixture
def boss(db: None) -> Admin:
    return Admin(User.objects.create_superuser("boss", password="correct horse"))
