"""A client that gets its answer before it has sent everything may go on sending for a moment, and holds up nobody."""

import psutil
import pytest
from knox.models import AuthToken

from cnaasjobs.web.worker import MAX_CLOSING
from tests.services.processes import Platform
from tests.waiting import wait_until
from tests.web.test_slow_clients import MANY, all_is_well, drip, many_clients

pytestmark = pytest.mark.django_db(transaction=True)

# Nobody may do this without credentials: so the answer is there before the body is.
POST = (
    b"POST /api/v1.0/device_syncto HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100000\r\n\r\n{"
)


@pytest.fixture
def token(django_user_model: type) -> str:
    user = django_user_model.objects.create_superuser("root")  # type: ignore[attr-defined]
    return str(AuthToken.objects.create(user)[1])


@pytest.fixture
def web(platform: Platform, token: str) -> Platform:
    platform.web(env={"CNAASJOBS_REQUIRE_TOKEN": "1"}, options=["--workers", "1"])
    return platform


def test_a_client_that_goes_on_sending_after_its_answer_holds_up_nobody(web: Platform, token: str) -> None:
    worker = wait_until(psutil.Process(web.processes[-1].pid).children)[0]
    with many_clients(web, POST, 3 * MAX_CLOSING) as clients:
        for client in clients:
            assert client.recv(4096).startswith(b"HTTP/1.1 401")
        for _ in drip(clients, seconds=1):
            all_is_well(web, token)
        # Four at a time, for two seconds each: if all were waited for, it would take a minute and a half.
        wait_until(lambda: len(worker.net_connections("tcp")) < MAX_CLOSING + MANY, timeout=20)


def test_after_any_number_of_them_one_may_still_go_on(web: Platform) -> None:
    """Closed at once, its connection would be reset, and the answer could be lost to it."""
    for _ in range(3):
        with many_clients(web, POST, MAX_CLOSING // 2) as clients:
            for client in clients:
                assert client.recv(4096).startswith(b"HTTP/1.1 401")
    with many_clients(web, POST, 1) as (client,):
        assert client.recv(4096).startswith(b"HTTP/1.1 401")
        for _ in drip([], seconds=0.6):
            client.sendall(b" " * 1000)
