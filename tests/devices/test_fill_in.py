"""``fill_in`` writes an empty column in the rows with the given keys, and in no others."""

import pytest
from django.utils import timezone

from cnaasjobs.db.fill_in import fill_in
from devices.models import DeviceState

pytestmark = pytest.mark.django_db

NAMES = ["plain", "it's", 'a "b" {c,d} %s %%', "back\\slash", "NULL", "Ünïcode 🦆"]


def test_it_is_filled_in_for_these_rows_where_it_is_empty() -> None:
    for host in [*NAMES, "another"]:
        DeviceState.objects.create(host=host, rendered_hash="", job_id=1, committed_at=timezone.now())
    DeviceState.objects.filter(host="plain").update(uncertain_job_id=7)
    for _ in range(2):  # the second time it is prepared already
        fill_in(DeviceState, "uncertain_job_id", 2**40, key="host", keys=[*NAMES, "nowhere"])
        found = dict(DeviceState.objects.values_list("host", "uncertain_job_id"))
        assert found == {"plain": 7, **dict.fromkeys(NAMES[1:], 2**40), "another": None}


def test_without_keys_no_row_is_changed() -> None:
    DeviceState.objects.create(host="sw1", rendered_hash="", job_id=1, committed_at=timezone.now())
    fill_in(DeviceState, "uncertain_job_id", 2, key="host", keys=[])
    assert DeviceState.objects.get().uncertain_job_id is None
