"""Nobody gets a server error by what no row has: a NUL, which PostgreSQL refuses to look for, or an impossible id."""

from typing import Any

import pytest
from django.contrib import admin
from django.db.models import CharField, TextField
from django.http import HttpRequest
from django.test import Client, RequestFactory

from tests.admin.conftest import Admin

pytestmark = pytest.mark.django_db(transaction=True)
NO_IDS = ("x", "9" * 23)


def registered() -> list[Any]:
    admin.autodiscover()  # as the URLs do when they are loaded
    assert len(admin.site._registry) > 10
    return [*admin.site._registry]


@pytest.mark.usefixtures("each_database")
def test_no_form_and_no_address_fails_by_an_id_that_none_is(boss: Admin) -> None:
    boss.client.raise_request_exception = False
    wrong = []
    for model in registered():
        page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        fields = {field.name: NO_IDS[1] for field in (*model._meta.fields, *model._meta.many_to_many)}
        forms: list[tuple[str, dict[str, Any]]] = [
            (page, {"action": action, "_selected_action": NO_IDS, "index": "0"})
            for action in admin.site._registry[model].get_actions(request_of(boss))
        ]
        forms += [(f"{page}{where}/", fields) for where in ("add", f"{NO_IDS[1]}/change", f"{NO_IDS[1]}/delete")]
        wrong += [path for path, form in forms if boss.client.post(path, form).status_code >= 500]
    assert wrong == []


def request_of(somebody: Admin) -> HttpRequest:
    request = RequestFactory().get("/admin/")
    request.user = somebody.user
    return request


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("_postgresql_to_use")
def test_parameters_may_have_a_nul(boss: Admin) -> None:
    boss.client.raise_request_exception = False
    answers = {}
    for model in registered():
        page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        fields = [field for field in model._meta.concrete_fields if isinstance(field, CharField | TextField)]
        texts = [field.name for field in fields if field.name != "password"]  # nobody may ask for that
        for names in (("q", "p", "o"), texts):  # a search shows fewer rows, so that no filter would be asked
            answers[page, *names] = boss.client.get(page, dict.fromkeys(names, "a\0")).status_code
    assert {asked: status for asked, status in answers.items() if status != 200} == {}


@pytest.mark.needs("postgresql")
@pytest.mark.usefixtures("_postgresql_to_use")
@pytest.mark.parametrize("path", ["/jobs", "/admin/", "/sign-in"])
def test_the_session_in_a_cookie_may_have_a_nul(path: str) -> None:
    answer = Client().get(path, headers={"Cookie": r'sessionid="long-enough\000"', "Host": "localhost"}, follow=True)
    assert answer.status_code == 200
