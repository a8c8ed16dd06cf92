"""Nobody gets a server error by a NUL, which PostgreSQL refuses to look for."""

import pytest
from django.contrib.admin import site
from django.test import Client

from tests.admin.conftest import Admin

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def test_a_parameter_may_have_a_nul(boss: Admin) -> None:
    boss.client.raise_request_exception = False
    wrong = []
    for model in site._registry:
        page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        for name in ("q", "p", "o", *(field.name for field in model._meta.concrete_fields)):
            if boss.client.get(page, {name: "a\0"}).status_code >= 500:
                wrong.append((page, name))
    assert wrong == []


@pytest.mark.parametrize("path", ["/jobs", "/admin/", "/sign-in"])
def test_the_session_in_a_cookie_may_have_a_nul(path: str) -> None:
    answer = Client().get(path, headers={"Cookie": r'sessionid="long-enough\000"', "Host": "localhost"}, follow=True)
    assert answer.status_code == 200
