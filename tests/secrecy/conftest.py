"""The devices' fixtures, for what is secret there."""

from tests.devices.conftest import lab

__all__ = ["lab"]
