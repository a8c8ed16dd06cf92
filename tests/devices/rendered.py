"""Renders a configuration for the host sw1 of a lab, as the product does."""

import pytest
from nornir.core.inventory import Host

from cnaasjobs.secrecy import Secrets
from devices import inventory
from devices.rendering import TemplateFailure, refresh, render
from tests.devices.lab import Lab


def host(name: str = "sw1") -> Host:
    return inventory.nornir().inventory.hosts[name]


def rendered(lab: Lab, text: str, **secrets: str) -> str:
    lab.template(text)
    refresh()
    return render(host(), Secrets(secrets))


def failure(lab: Lab, text: str) -> str:
    with pytest.raises(TemplateFailure) as caught:
        rendered(lab, text)
    return str(caught.value)
