"""schemathesis over the API's description, as each of those who may come: no answer is a 5xx, none is other than
described, and nobody without the right is answered."""

import copy
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cnaasjobs.api import throttle
from cnaasjobs.api.description import ELSEWHERE, document
from jobs.models import Job
from tests.identity.conftest import accepted, login
from tests.permissions.conftest import every_way
from tests.permissions.rows import OF_API, REFRESH
from tests.permissions.things import make_things
from tests.permissions.who import ADMIN, EVERYBODY, NOBODY, bearers, make_user

__all__ = ["accepted", "every_way", "login"]

pytestmark = [pytest.mark.devices, pytest.mark.long, pytest.mark.usefixtures("every_way")]

ASKED: Final = os.environ.get("FUZZ_CASES")
CASES: Final = int(ASKED or 400)
STEPS: Final = 10
CHECKS: Final = [status_code_conformance, content_type_conformance, response_schema_conformance]
MANY_JOBS: Final = 500

# What one answer says that the next call can ask for.
LINKS: Final = {
    ("/device_syncto", "post"): ("$response.body#/job_id", "job_id"),
    ("/device_syncto/hostname/{hostname}", "post"): ("$response.body#/job_id", "job_id"),
    ("/jobs", "get"): ("$response.body#/data/jobs/0/id", "job_id"),
    ("/devices", "get"): ("$response.body#/data/devices/0/hostname", "hostname"),
}


def _linked() -> dict[str, Any]:
    found = copy.deepcopy(document())
    for path in ELSEWHERE:  # not by a view of this application
        del found["paths"][path]
    operations = {
        (path.removeprefix("/api/v1.0"), method): operation
        for path, methods in found["paths"].items()
        for method, operation in methods.items()
    }
    for place, (said, name) in LINKS.items():
        if place in operations:
            operations[place]["responses"]["200"]["links"] = {
                each["operationId"]: {"operationId": each["operationId"], "parameters": {name: said}}
                for (path, _), each in operations.items()
                if f"{{{name}}}" in path
            }
    return found


class App:
    """The application, for the one who calls: schemathesis sends credentials of its own, or leaves ours out."""

    def __init__(self) -> None:
        self._application = get_wsgi_application()
        self.authorization: str | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        environ.pop("HTTP_AUTHORIZATION", None)
        if self.authorization is not None:
            environ["HTTP_AUTHORIZATION"] = self.authorization
        return self._application(environ, start_response)


@pytest.fixture(scope="module")
def schema() -> Iterator[Any]:
    """In this process, and on the test's connection, which no request may close."""
    loaded = schemathesis.openapi.from_dict(_linked())
    loaded.app = App()
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield loaded
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


class Callers:
    """Everybody with a credential, and what they were answered."""

    def __init__(self) -> None:
        make_things()
        self._whose = {who: self._credential(who) for who in EVERYBODY}
        self.answers: Counter[str] = Counter()
        self.may: dict[tuple[str, str], frozenset[str]] = {}
        for row in (*OF_API, REFRESH):
            key = (row.method, f"/{row.route}")
            self.may[key] = self.may.get(key, frozenset()) | row.may

    def _credential(self, who: str) -> str | None:
        if who == NOBODY:
            return None
        ways = bearers(who, make_user(who))
        return f"Bearer {ways['JWT of our own' if who == ADMIN else 'token']()}"

    def call(self, case: Case[Any], who: str) -> Any:
        throttle.forget()
        if sum(self.answers.values()) % MANY_JOBS == 0:
            Job.objects.filter(scheduled_by__isnull=False).delete()  # a user's room for waiting jobs
        case.operation.schema.app.authorization = self._whose[who]
        response = case.call()
        self.check(case, response, who)
        return response

    def check(self, case: Case[Any], response: Any, who: str) -> None:
        self.answers[f"{response.status_code}"] += 1
        shown = f"{who}: {case.as_curl_command()}"
        assert response.status_code < 500, shown
        may = self.may[(case.method, case.operation.path)]
        assert who in may or response.status_code >= 400, f"{shown} was answered {response.status_code}"
        case.validate_response(response, checks=CHECKS)


@pytest.fixture
def callers() -> Iterator[Callers]:
    found = Callers()
    yield found
    if ASKED:
        print(f"\n{sum(found.answers.values())} calls were answered: {dict(sorted(found.answers.items()))}")


def _settings(cases: int, **more: Any) -> settings:
    return settings(
        max_examples=cases,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        derandomize=ASKED is None,
        suppress_health_check=[*HealthCheck],
        **more,
    )


def _calls(schema: Any) -> st.SearchStrategy[Case[Any]]:
    operations = [found.ok() for found in schema.get_all_operations()]
    return st.sampled_from(operations).flatmap(
        lambda operation: st.sampled_from(GenerationMode).flatmap(lambda mode: operation.as_strategy(mode))
    )


def test_calls_one_by_one(schema: Any, callers: Callers) -> None:
    whose = itertools.cycle(EVERYBODY)

    @given(case=_calls(schema))
    @_settings(CASES // 2)
    def call(case: Case[Any]) -> None:
        callers.call(case, next(whose))

    call()
    assert sum(callers.answers.values()) >= CASES // 2


def test_calls_in_chains(schema: Any, callers: Callers) -> None:
    """The next calls ask for what one call made, each as somebody else."""

    class Chain(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            """Each begins with the same: what is generated depends on what was answered."""
            self.whose = itertools.cycle(reversed(EVERYBODY))
            self.savepoint = transaction.savepoint()

        def teardown(self) -> None:
            transaction.savepoint_rollback(self.savepoint)

        def call(self, case: Case[Any], **_: Any) -> Any:
            return callers.call(case, next(self.whose))

        def validate_response(self, response: Any, case: Case[Any], **_: Any) -> None:
            """Done, with who called."""

    Chain.run(settings=_settings(max(1, CASES // 2 // STEPS), stateful_step_count=STEPS))
    assert callers.answers["200"]
