"""What went wrong on one device, in words. Saying it may not fail: an exception may be anything, its text too."""

import functools
import traceback

from napalm.base.exceptions import ConnectAuthError
from netmiko.exceptions import NetmikoAuthenticationException
from nornir.core.inventory import Host

from cnaasjobs.events import record
from devices.actions import DeviceAction
from devices.masking import Secrets
from devices.rendering import TemplateFailure

LENGTH = 300  # characters of an exception's text that are shown
UNSPEAKABLE = "an exception that can't be shown"
_PASSWORD_LENGTH = 4  # shorter ones stand in too much innocent text


class DeviceFailure(Exception):
    """What is wrong with one device, in words for its result."""


class Words:
    """The words of one device: without secrets, short, and whatever happened."""

    def __init__(self, host: Host, secrets: Secrets, job_id: int) -> None:
        self._host = host
        self._secrets = secrets
        self._job_id = job_id

    def of(self, exc: BaseException) -> str:
        """What an exception says, in a line."""
        try:
            # Netmiko goes on with advice for programmers.
            paragraph = self.mask(_text(exc)).strip().partition("\n\n")[0]
            text = " ".join(paragraph.split())[:LENGTH]
            if isinstance(exc, ConnectAuthError | NetmikoAuthenticationException):
                return f"wrong credentials ({text})" if text else "wrong credentials"
            return text or type(exc).__name__
        except BaseException:  # noqa: BLE001  (the author of an exception's class may do anything in it)
            return UNSPEAKABLE

    def mask(self, text: str) -> str:
        """For messages and logs: the templates' secrets, and the password that the inventory gives for this device."""
        text = self._secrets.mask(text)
        return text.replace(self._password, "********") if self._password else text

    @functools.cached_property
    def _password(self) -> str:
        """Empty if there is none to mask. YAML makes a number of what looks like one."""
        try:
            given = self._host.get_connection_parameters("napalm").password
            password = "" if given is None else str(given)
        except BaseException:  # noqa: BLE001  (an inventory of anybody's; what can't be asked for is in no message)
            return ""
        return password if len(password) >= _PASSWORD_LENGTH else ""

    def failure(self, exc: BaseException) -> str:
        """The reason for the device's result, which goes to the log too, with the traceback."""
        if isinstance(exc, DeviceFailure | TemplateFailure):
            reason = self.mask(str(exc))
        else:  # a fault of ours or a library's
            said = self.of(exc)
            reason = said if said == UNSPEAKABLE else f"internal error: {type(exc).__name__}: {said}"
        self.record(DeviceAction.DEVICE_FAILED, reason, exc)
        return reason

    def record(self, action: DeviceAction, reason: str, exc: BaseException) -> None:
        """Under the job and the host. The traceback as text, because it is masked."""
        try:
            said, trace = self.mask(reason), self.mask("".join(traceback.format_exception(exc)).rstrip())
        except BaseException as broken:  # noqa: BLE001  (as above)
            said, trace = f"a failure can't be shown: {type(broken).__name__}", ""
        record(action, job_id=self._job_id, host=self._host.name, reason=said, trace=trace)


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except BaseException as broken:  # noqa: BLE001  (as above)
        return f"{type(exc).__name__} that can't be shown ({type(broken).__name__})"
