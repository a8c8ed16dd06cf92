"""What is remembered of each device, in rows that are written by our own statements."""

from datetime import UTC, datetime

import pytest
from django.utils.crypto import salted_hmac

from cnaasjobs.db.insert import insert_many
from devices.models import DeviceState
from devices.sync.known import digest

pytestmark = pytest.mark.django_db

TIME = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)


@pytest.mark.parametrize("key", ["", "another key"])
def test_a_hash_is_what_django_makes_of_it_as_those_that_are_stored(key: str) -> None:
    raw = "hostname caf\u00e9".encode()
    assert (
        digest(raw.decode(), key=key) == salted_hmac("devices.state", raw, secret=key, algorithm="sha256").hexdigest()
    )
    assert digest("") == salted_hmac("devices.state", b"", algorithm="sha256").hexdigest()
    assert digest("\udcff") != digest("\udcfe")  # a device may send anything


@pytest.mark.usefixtures("each_database")
def test_rows_that_are_there_are_replaced() -> None:
    def state(host: str, number: int, uncertain: int | None = None) -> DeviceState:
        return DeviceState(
            host=host, rendered_hash=f"r{number}", job_id=number, committed_at=TIME, uncertain_job_id=uncertain
        )

    insert_many([state(f"sw{number}", 1, uncertain=7) for number in range(1500)])
    insert_many([state(f"sw{number}", 2) for number in range(1000, 2000)], replacing="host")
    stored = DeviceState.objects.values_list("host", "rendered_hash", "job_id", "uncertain_job_id")
    old = {(f"sw{number}", "r1", 1, 7) for number in range(1000)}
    assert set(stored) == old | {(f"sw{number}", "r2", 2, None) for number in range(1000, 2000)}
    assert len(stored) == 2000
