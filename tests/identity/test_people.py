"""Which user a provider's JWT stands for, and what that user may do, over the API."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection, connections, transaction
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from cnaasjobs.api import throttle
from cnaasjobs.identity import people
from cnaasjobs.identity.models import Identity
from cnaasjobs.identity.provider import Person
from jobs.models import AuditEntry
from tests.api.conftest import Api
from tests.factory import job_row
from tests.identity.issuer import ISSUER, ec_key, jwks, rsa_key, signed
from tests.services import PostgreSQL
from tests.switching import database_takes_no_writes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("accepted")]

HOST = "login.example.org"


def person(subject: str = "4711", name: str = "ann") -> Person:
    return Person(ISSUER, subject, name, frozenset(), 0)


def user() -> User:
    return Identity.objects.get(issuer=ISSUER, subject="4711").user


def test_a_person_who_comes_first_gets_a_user_without_a_password_and_without_rights() -> None:
    assert Api(signed()).get("/jobs").status == 403
    found = user()
    assert found.username == f"ann/{HOST}"
    assert not found.has_usable_password()
    assert (found.is_superuser, found.is_staff, list(found.groups.all())) == (False, False, [])
    assert Api(signed(preferred_username="renamed")).get("/auth/permissions").data == []
    assert User.objects.get() == found
    assert User.objects.get().username == f"ann/{HOST}", "what stands in the audit trail goes on being the same person"


def test_a_name_never_leads_to_a_user_who_was_there_before() -> None:
    local = User.objects.create_superuser("ann", password="correct horse")
    odd = User.objects.create_superuser(f"ann/{HOST}", password="correct horse")
    assert Api(signed()).get("/jobs").status == 403
    assert user() not in (local, odd)
    assert user().username.startswith(f"ann/{HOST}/")


def test_two_people_of_one_name_are_two_users() -> None:
    for subject in ("4711", "4712"):
        Api(signed(sub=subject)).get("/jobs")
    assert Identity.objects.values("user").distinct().count() == 2


def test_the_same_subject_at_another_issuer_is_somebody_else(settings: Any) -> None:
    Api(signed()).get("/jobs")
    settings.CNAASJOBS_JWT_ISSUER = f"{ISSUER}/other"
    assert Api(signed(iss=f"{ISSUER}/other")).get("/jobs").status == 403
    assert User.objects.count() == 2


@pytest.mark.parametrize(
    ("name", "called"),
    [
        (None, "4711"),
        (5, "4711"),
        ("", "4711"),
        ("ann b/c\x00\ud800", "ann_b_c__"),
        ("x" * 500, "x" * 64),
        ("adm\uff49n", "admin"),  # a letter that only looks different
    ],
)
def test_a_name_claim_of_any_kind_gives_a_user_a_name(name: Any, called: str) -> None:
    assert Api(signed(preferred_username=name)).get("/jobs").status == 403
    assert user().username == f"{called}/{HOST}"


def test_a_claim_makes_nobody_a_superuser_or_staff() -> None:
    text = signed(groups=["superuser", "admin"], is_superuser=True, is_staff=True, roles=["superuser"])
    assert Api(text).get("/jobs").status == 403
    assert (user().is_superuser, user().is_staff) == (False, False)


def test_groups_follow_the_claim_and_no_others(groups: dict[str, Group]) -> None:
    row = job_row("SCHEDULED")
    abort = {"action": "ABORT"}
    assert Api(signed(groups=["noc", "else"])).get("/jobs").status == 200
    assert Api(signed(groups=["noc"])).put(f"/job/{row.pk}", abort).status == 403
    user().groups.add(groups["locks"])
    user().user_permissions.add(Permission.objects.get(codename="view_heartbeat"))
    assert Api(signed(groups=["netops"])).put(f"/job/{row.pk}", abort).status == 200
    assert {group.name for group in user().groups.all()} == {"writers", "locks"}
    assert Api(signed(groups=["netops"])).get("/joblocks").status == 200
    without = Api(signed())
    assert (without.get("/jobs").status, without.get("/joblocks").status) == (403, 200)
    assert {group.name for group in user().groups.all()} == {"locks"}
    assert user().user_permissions.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_person_who_comes_with_other_groups_can_read_while_the_database_takes_no_writes(
    groups: dict[str, Group],
) -> None:
    Api(signed(groups=["noc"])).get("/jobs")
    with database_takes_no_writes():
        assert Api(signed(groups=["netops"])).get("/jobs").status == 200
        assert Api(signed()).get("/jobs").status == 403, "what the JWT says counts, not what could not be written"
        assert Api(signed(sub="4712")).get("/jobs").status == 503
    Api(signed(groups=["netops"])).get("/jobs")
    assert [group.name for group in user().groups.all()] == ["writers"]


def test_a_group_that_an_administrator_gives_against_the_claim_does_not_last(groups: dict[str, Group]) -> None:
    Api(signed(groups=["noc"])).get("/jobs")
    user().groups.set([groups["writers"]])
    row = job_row("SCHEDULED")
    assert Api(signed(groups=["noc"])).put(f"/job/{row.pk}", {"action": "ABORT"}).status == 403
    assert [group.name for group in user().groups.all()] == ["readers"]


def test_each_jwt_has_the_rights_that_it_says_and_the_latest_is_remembered(groups: dict[str, Group]) -> None:
    now = int(time.time())
    later = Api(signed(groups=["netops"], iat=now))
    earlier = Api(signed(groups=["noc"], iat=now - 100))
    row = job_row("SCHEDULED")
    assert later.get("/jobs").status == 200
    assert earlier.put(f"/job/{row.pk}", {"action": "ABORT"}).status == 403
    assert [group.name for group in user().groups.all()] == ["writers"]
    assert later.put(f"/job/{row.pk}", {"action": "ABORT"}).status == 200


@pytest.mark.needs("postgresql")
def test_of_two_jwts_at_once_the_latest_is_remembered(postgresql: PostgreSQL) -> None:
    """The earlier one comes while the groups of the later one are being stored."""
    for name in ("writers", "readers"):
        Group.objects.create(name=name)
    now, request = int(time.time()), RequestFactory().get("/")
    later, earlier = (
        person()._replace(groups=frozenset({name}), issued=at)
        for name, at in (("writers", now), ("readers", now - 100))
    )

    def come() -> None:
        try:
            people.owner_of(earlier, request)
        finally:
            connections.close_all()

    people.owner_of(person(), request)
    with ThreadPoolExecutor(1) as elsewhere:
        with transaction.atomic():
            people.owner_of(later, request)
            comes = elsewhere.submit(come)
            postgresql.until_blocked()
        comes.result(20)
    assert [group.name for group in user().groups.all()] == ["writers"]
    assert Identity.objects.get().groups_of == now


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ("scope", {"scope": "openid noc"}),
        ("realm_access.roles", {"realm_access": {"roles": ["noc"]}}),
        ("https://example.org/groups", {"https://example.org/groups": ["noc"]}),
    ],
)
def test_the_groups_are_found_where_the_setting_says(
    groups: dict[str, Group], settings: Any, claim: str, said: dict[str, Any]
) -> None:
    settings.CNAASJOBS_JWT_GROUPS_CLAIM = claim
    assert Api(signed(**said)).get("/jobs").status == 200
    assert Api(signed(groups=["netops"])).get("/jobs").status == 403


@pytest.mark.parametrize("said", [5, {"noc": 1}, [["noc"]], [None, 5], True, "nocnoc", ["NOC"]])
def test_groups_of_another_type_count_as_none(groups: dict[str, Group], said: Any) -> None:
    assert Api(signed(groups=said)).get("/jobs").status == 403


def test_a_group_that_does_not_exist_gives_nothing_and_is_reported_once(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CNAASJOBS_JWT_GROUPS = {"noc": "odd"}
    for _ in range(2):
        assert Api(signed(groups=["noc"])).get("/jobs").status == 403
    said = [getattr(line, "group", "") for line in caplog.records if getattr(line, "action", "") == "group_missing"]
    assert said == ["odd"]


def test_a_user_who_is_deactivated_is_refused(groups: dict[str, Group]) -> None:
    api = Api(signed(groups=["noc"]))
    assert api.get("/jobs").status == 200
    User.objects.update(is_active=False)
    assert api.get("/jobs").status == 401
    newer = Api(signed(groups=["netops"], iat=int(time.time())))
    assert newer.get("/jobs").status == 401
    assert [group.name for group in user().groups.all()] == ["readers"], "nothing is done for them"


def test_a_known_jwt_costs_one_statement(groups: dict[str, Group]) -> None:
    api = Api(signed(groups=["noc"]))
    for _ in range(2):  # PostgreSQL gets the statement once per connection
        assert api.get("/jobs").status == 200
    with CaptureQueriesContext(connection) as queries:
        assert api.get("/jobs").status == 200
    about_users = [each["sql"] for each in queries if any(w in each["sql"] for w in ("auth_", "EXECUTE identity"))]
    assert len(about_users) == 1, about_users


def test_the_audit_trail_says_that_the_provider_did_it(groups: dict[str, Group]) -> None:
    Api(signed(groups=["noc"])).get("/jobs")
    Api(signed(groups=["noc"])).put("/job/1", {"action": "ABORT"})
    entries = AuditEntry.objects.order_by("pk").exclude(detail__startswith="group ")  # which this test made
    said = [(entry.who, entry.action, entry.detail) for entry in entries]
    assert said == [
        (ISSUER, "made", f"user ann/{HOST}"),
        (ISSUER, "changed", f"user ann/{HOST}: groups given: readers"),
        (f"ann/{HOST}", "refused", "PUT /api/v1.0/job/1: permission jobs.abort_job"),
    ]


@pytest.mark.django_db(transaction=True)
def test_many_first_requests_at_once_make_one_user() -> None:
    together = threading.Barrier(8)

    def come(_: int) -> int:
        together.wait()
        try:
            return people.owner_of(person(), RequestFactory().get("/")).user.pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(come, range(8)))) == 1
    assert User.objects.count() == 1


# --- what is refused, over the API ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [  # made when the test begins: a JWT is good for some minutes
        (lambda: signed(ec_key("strange")), "its signature is wrong"),
        (lambda: signed(exp=1), "Token expired"),
        (lambda: signed(aud="other"), "Audience doesn't match"),
        (lambda: "a.b.c", "Invalid token"),
        (lambda: "..", "Invalid token"),
    ],
)
def test_a_bad_jwt_is_a_401_that_says_why(make: Callable[[], str], words: str) -> None:
    reply = Api(make()).get("/jobs")
    assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert words in reply.message
    assert not User.objects.exists()


def test_a_jwt_is_refused_where_no_provider_is_named(settings: Any) -> None:
    settings.CNAASJOBS_JWT_ISSUER = ""
    assert Api(signed()).get("/jobs").message == "Invalid token"


def test_wrong_ones_are_throttled_like_tokens(groups: dict[str, Group]) -> None:
    good = Api(signed(groups=["noc"]))
    assert good.get("/jobs").status == 200
    for _ in range(throttle.TOKENS.amount):
        assert Api(signed(ec_key("strange"))).get("/jobs").status == 401
    assert Api(signed(ec_key("strange"))).get("/jobs").status == 429
    assert Api(signed(groups=["noc"], jti="new")).get("/jobs").status == 429
    assert good.get("/jobs").status == 200


def test_while_its_keys_can_not_be_had_the_answer_is_not_now(accepted: Path) -> None:
    accepted.unlink()
    reply = Api(signed()).get("/jobs")
    assert (reply.status, "keys can't be read now" in reply.message) == (503, True)
    accepted.write_bytes(jwks(first=rsa_key("second"), other=ec_key("first")))
    assert Api(signed(kid="other")).get("/jobs").status == 403


def test_in_development_jwts_are_not_looked_at_either(settings: Any) -> None:
    settings.CNAASJOBS_REQUIRE_TOKEN = False
    assert Api("a.b.c").get("/jobs").status == 200
    assert not User.objects.exists()
