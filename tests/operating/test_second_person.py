"""Who may approve a job: nobody who is behind it, by whatever account, token or chain of jobs."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from knox.models import AuthToken

from jobs.audit.trail import By
from jobs.dispatch import scheduling
from jobs.errors import JobNotFound, NotAllowed, NotWaitingForApproval
from jobs.models import Job, JobBehind, TokenMaker
from jobs.operating import approving
from jobs.states import Status
from jobs.testing import perform
from tests import fake_jobs
from tests.operating.people import by, guarded, user

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("each_database")]


def _refused(job: Job, person: By) -> None:
    assert approving.is_own(job, person)
    with pytest.raises(NotAllowed, match="waits for another person"):
        approving.approve(job.pk, by=person)
    job.refresh_from_db()
    assert job.unapproved


def test_the_author_of_a_job_cannot_approve_it() -> None:
    ann = user("ann")
    _refused(guarded(ann), by(ann))
    # Neither at the shell, nor by the name alone.
    _refused(guarded(ann), By(who="ann", origin="command line", user=None))
    _refused(guarded(), By(who="somebody", origin="command line", user=None))


def test_a_token_that_the_author_made_cannot_approve_it() -> None:
    ann, bob = user("ann"), user("bob")
    token, _ = AuthToken.objects.create(bob)
    TokenMaker.objects.create(token=token, maker_id=ann.pk)
    own, _ = AuthToken.objects.create(bob)
    TokenMaker.objects.create(token=own, maker_id=bob.pk)
    job = guarded(ann)
    _refused(job, by(bob, token.digest))
    approving.approve(job.pk, by=by(bob, own.digest))


def test_the_maker_of_the_token_that_started_it_cannot_approve_it() -> None:
    ann, bob, service = user("ann"), user("bob"), user("service")
    token, _ = AuthToken.objects.create(service)
    TokenMaker.objects.create(token=token, maker_id=ann.pk)
    job = guarded(service)
    approving.keep_maker(job, by(service, token.digest))
    _refused(job, by(ann))
    approving.approve(job.pk, by=by(bob))


def test_a_token_that_its_maker_deletes_meanwhile_cannot_approve_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who made it is forgotten with it. It has let its user in, so the request goes on."""
    ann, bob = user("ann"), user("bob")
    token, _ = AuthToken.objects.create(bob)
    TokenMaker.objects.create(token=token, maker_id=ann.pk)
    person, job = by(bob, token.digest), guarded(ann)
    filter_by = TokenMaker.objects.filter

    def deleted_first(**options: Any) -> Any:
        monkeypatch.undo()
        AuthToken.objects.all().delete()
        return filter_by(**options)

    monkeypatch.setattr(TokenMaker.objects, "filter", deleted_first)
    with pytest.raises(NotAllowed):
        approving.approve(job.pk, by=person)
    job.refresh_from_db()
    assert job.unapproved


def test_nothing_is_started_by_a_token_that_its_maker_deletes_meanwhile() -> None:
    service = user("service")
    token, _ = AuthToken.objects.create(service)
    person = by(service, token.digest)
    token.delete()
    with pytest.raises(NotAllowed, match="deleted"):
        approving.keep_maker(guarded(service), person)


def test_whoever_started_the_job_that_started_it_cannot_approve_it() -> None:
    ann = user("ann")
    perform(scheduling.schedule(fake_jobs.starts_guarded, {}, scheduled_by="ann", author_id=ann.pk))
    job = Job.objects.get(unapproved=True)
    assert job.scheduled_by != "ann"
    _refused(job, by(ann))
    approving.approve(job.pk, by=by(user("bob")))


def test_its_author_is_not_kept_a_second_time_as_somebody_behind_it(settings: Any) -> None:
    settings.CNAASJOBS_APPROVAL_SCORE = 20.0
    ann = user("ann")
    token, _ = AuthToken.objects.create(ann)
    TokenMaker.objects.create(token=token, maker_id=ann.pk)
    first = scheduling.schedule(fake_jobs.then_guarded, {}, scheduled_by="ann", author_id=ann.pk)
    approving.keep_maker(first, by(ann, token.digest))
    perform(first)
    successor = Job.objects.exclude(pk=first.pk).get()
    assert successor.author_id == ann.pk
    assert not JobBehind.objects.exists()


@pytest.mark.parametrize("last", ["started", "successor"])
def test_nobody_behind_an_earlier_job_of_its_chain_can_approve_it(settings: Any, last: str) -> None:
    """However many jobs are between, and whether these need approval or not."""
    settings.CNAASJOBS_APPROVAL_SCORE = 20.0
    ann, bob, service = user("ann"), user("bob"), user("service")
    token, _ = AuthToken.objects.create(service)
    TokenMaker.objects.create(token=token, maker_id=ann.pk)
    first = fake_jobs.starts_starter if last == "started" else fake_jobs.then_guarded
    job = scheduling.schedule(first, {}, scheduled_by="service", author_id=service.pk)
    approving.keep_maker(job, by(service, token.digest))
    while not (waiting := Job.objects.filter(unapproved=True)):
        perform(Job.objects.get(status=Status.SCHEDULED.value))
    (job,) = waiting
    for person in (ann, service):
        _refused(job, by(person))
    approving.approve(job.pk, by=by(bob))


@pytest.mark.parametrize("other", ["ann/login.example.org", "Ann/login.example.org/0123456789abcdef", "ANN"])
def test_nobody_with_its_authors_name_can_approve_it(other: str) -> None:
    """A person may have an account here and one at a provider."""
    ann, namesake, service = user("ann"), user(other), user("service")
    _refused(guarded(ann), by(namesake))
    _refused(guarded(namesake), by(ann))
    token, _ = AuthToken.objects.create(service)
    TokenMaker.objects.create(token=token, maker_id=namesake.pk)
    _refused(guarded(ann), by(service, token.digest))
    approving.approve(guarded(ann).pk, by=by(user("anna/login.example.org")))


def test_those_who_are_behind_it_may_reject_it() -> None:
    ann = user("ann")
    job = guarded(ann)
    assert approving.is_own(job, by(ann))
    assert approving.reject(job.pk, by=by(ann)).status == Status.EXCEPTION


def test_a_job_that_nobody_scheduled_can_be_approved_by_anybody_with_the_permission() -> None:
    job = scheduling.schedule(fake_jobs.guarded, {})
    assert job.scheduled_by is None
    assert not approving.approve(job.pk, by=by(user("bob"))).unapproved


def test_who_made_a_token_is_kept_only_where_somebody_may_ask(settings: Any) -> None:
    ann, service = user("ann"), user("service")
    token, _ = AuthToken.objects.create(service)
    TokenMaker.objects.create(token=token, maker_id=ann.pk)
    approving.keep_maker(fake_jobs.nothing.schedule(), by(service, token.digest))
    assert not JobBehind.objects.exists()
    settings.CNAASJOBS_APPROVAL_SCORE = 20.0
    approving.keep_maker(fake_jobs.nothing.schedule(), by(service, token.digest))
    approving.keep_maker(fake_jobs.nothing.schedule(), by(service))
    assert JobBehind.objects.get().user_id == ann.pk


def test_only_a_user_who_has_the_permission_decides() -> None:
    eva, job = User.objects.create_user("eva"), guarded()
    for decide in (approving.approve, approving.reject):
        with pytest.raises(NotAllowed, match=r"Missing permission jobs\.approve_job"):
            decide(job.pk, by=by(eva))


def test_only_a_job_that_waits_for_approval_can_be_decided() -> None:
    author = user("bob")
    job, bob = scheduling.schedule(fake_jobs.nothing, {}, author_id=author.pk), by(author)
    for decide in (approving.approve, approving.reject):
        with pytest.raises(NotWaitingForApproval, match=f"Job id {job.pk} is in state SCHEDULED and does not wait"):
            decide(job.pk, by=bob)
        with pytest.raises(JobNotFound):
            decide(987_654, by=bob)
