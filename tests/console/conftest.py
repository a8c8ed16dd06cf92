"""People who use the console, with the permissions that a test names, and what a page says to them."""

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client

PASSWORD = "correct horse"
PersonOf = Callable[..., "Person"]


def text_of(page: str) -> str:
    """Without its markup."""
    words = html.unescape(re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL))
    return re.sub(r"\s+", " ", words).strip()


class Person:
    """A browser without script and without rendering."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client(headers={"Host": "localhost"})
        self.client.force_login(user)

    def open(self, path: str, *, status: int = 200, follow: bool = False) -> HttpResponse:
        response: Any = self.client.get(path, follow=follow)
        assert response.status_code == status, (path, response.status_code, response.headers)
        answer: HttpResponse = response
        return answer

    def markup(self, path: str, *, status: int = 200, follow: bool = False) -> str:
        return self.open(path, status=status, follow=follow).content.decode()

    def read(self, path: str, *, status: int = 200, follow: bool = False) -> str:
        return text_of(self.markup(path, status=status, follow=follow))

    def send(self, path: str, data: Mapping[str, Any] | None = None, *, status: int = 200) -> str:
        """A form; the text of the page that one ends on."""
        response: Any = self.client.post(path, data or {}, follow=True)
        assert response.status_code == status, (path, response.status_code, response.headers)
        return text_of(response.content.decode())


@pytest.fixture
def person_of(db: None) -> PersonOf:
    def make(*permissions: str, name: str = "operator") -> Person:
        user = User.objects.create_user(name, password=PASSWORD)
        for permission in permissions:
            app, codename = permission.split(".")
            user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
        return Person(user)

    return make


@pytest.fixture
def viewer(person_of: PersonOf) -> Person:
    """May see jobs, and change nothing."""
    return person_of("jobs.view_job", name="viewer")


@pytest.fixture
def ann(person_of: PersonOf) -> Person:
    """May see, abort and start jobs."""
    return person_of("jobs.view_job", "jobs.abort_job", "jobs.add_job", name="ann")
