"""System checks of our settings as Django has them now: a settings module of one's own may have set them."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register

from cnaasjobs.conf import Conf, conf


@register()
def settings_make_sense(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    wrong: list[CheckMessage] = [
        Error(f"{variable.name} {problem}", id="cnaasjobs.E001")
        for variable in Conf.variables()
        if (problem := variable.wrong(conf.value_of(variable.name)))
    ]
    return wrong or _together()


def _together() -> list[CheckMessage]:
    name = Conf.worker_lost_seconds.name
    return [
        Error(f"{name} must be at least three times {other.name}, or a live worker looks lost", id="cnaasjobs.E002")
        for other in (Conf.heartbeat_seconds, Conf.upkeep_seconds)
        if 3 * conf.value_of(other.name) > conf.worker_lost_seconds
    ]
