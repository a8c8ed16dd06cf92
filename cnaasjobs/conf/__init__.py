"""Settings of our own, typed: ``conf.heartbeat_seconds``.

``table`` names each variable of the environment once; ``cnaasjobs.settings`` reads them when a process starts. After
that ``conf`` is the one way to a value. It asks Django's settings each time, so that a test may override
``CNAASJOBS_HEARTBEAT_SECONDS``.
"""

from typing import Any, Final

from django.conf import settings

from cnaasjobs.conf.table import Conf, Start, from_environment
from cnaasjobs.conf.variables import WrongSettings

__all__ = ["Conf", "Start", "WrongSettings", "conf", "from_environment"]

# Django's cache of the settings that were looked up, which it clears when one changes. Reading it saves a Python call.
_looked_up: Final[dict[str, Any]] = object.__getattribute__(settings, "__dict__")


def _value_of(name: str) -> Any:
    try:
        return _looked_up[name]
    except KeyError:
        return getattr(settings, name)


conf: Final = Conf(_value_of)
