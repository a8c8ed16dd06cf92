"""A job's time limit may strike anywhere in its body: while the inventory is read, it is no error of the inventory."""

from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from ruamel.yaml.constructor import SafeConstructor

from devices import inventory, parsed_files, yaml_files
from tests.devices.lab import Lab


@pytest.mark.parametrize(("owner", "name"), [(SafeConstructor, "construct_document"), (yaml_files, "_as_written")])
def test_a_time_limit_is_reported_as_one(lab: Lab, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    def ended(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    lab.add("sw1")
    monkeypatch.setattr(parsed_files, "_short", {})  # nothing was read before
    monkeypatch.setattr(owner, name, ended)
    with pytest.raises(SoftTimeLimitExceeded):
        inventory.nornir()
