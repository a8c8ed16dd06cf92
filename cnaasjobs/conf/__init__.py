"""Settings of our own, typed: ``conf.heartbeat_seconds``.

``table`` names each variable of the environment once; ``cnaasjobs.settings`` reads them when a process starts. After
that ``conf`` is the one way to a value. It asks Django's settings each time, so that a test may override
``CNAASJOBS_HEARTBEAT_SECONDS``.
"""

from typing import Final

from django.conf import settings

from cnaasjobs.conf.table import Conf, Start, from_environment
from cnaasjobs.conf.variables import WrongSettings

__all__ = ["Conf", "Start", "WrongSettings", "conf", "from_environment"]

conf: Final = Conf(lambda name: getattr(settings, name))
