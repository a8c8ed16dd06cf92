"""People who start and approve jobs, and a job that waits for a second person."""

from typing import Any

from django.contrib.auth.models import Permission, User

from jobs.audit.trail import By
from jobs.dispatch import scheduling
from jobs.models import Job
from tests import fake_jobs


def user(name: str) -> User:
    made = User.objects.create_user(name)
    made.user_permissions.set(Permission.objects.filter(codename__in=["add_job", "abort_job", "approve_job"]))
    return made


def by(person: User, token: str | None = None) -> By:
    return By(who=person.username, origin="10.0.0.7", user=person, token=token)


def guarded(author: User | None = None, **options: Any) -> Job:
    name, author_id = (author.username, author.pk) if author else ("somebody", None)
    return scheduling.schedule(fake_jobs.guarded, {}, scheduled_by=name, author_id=author_id, **options)
