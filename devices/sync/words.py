"""Describes what went wrong on one device. This must never fail, whatever the exception and its text are."""

import traceback

from napalm.base.exceptions import ConnectAuthError
from netmiko.exceptions import NetmikoAuthenticationException
from nornir.core.inventory import Host

from cnaasjobs.events import record
from cnaasjobs.secrecy import mask, storable
from devices.actions import DeviceAction
from devices.rendering import TemplateFailure

LENGTH = 300  # characters of an exception's text that are shown
UNSPEAKABLE = "an exception that can't be shown"


class DeviceFailure(Exception):
    """What is wrong with one device; the text is for its result."""


class Words:
    """Describes failures of one device: short, without secrets, and whatever happened."""

    def __init__(self, host: Host, job_id: int) -> None:
        self._host = host
        self._job_id = job_id
        self._seen: list[str] = []  # what is not logged yet

    def of(self, exc: BaseException) -> str:
        """The text of an exception, in one line."""
        try:
            # Netmiko goes on with advice for programmers.
            paragraph = self.mask(_text(exc)).strip().partition("\n\n")[0]
            text = " ".join(paragraph.split())[:LENGTH]
            if isinstance(exc, ConnectAuthError | NetmikoAuthenticationException):
                return f"wrong credentials ({text})" if text else "wrong credentials"
            return text or type(exc).__name__
        except BaseException:  # noqa: BLE001  (an exception's class may do anything in its methods)
            return UNSPEAKABLE

    def mask(self, text: str) -> str:
        """Mask the text before it is shortened. It is masked again where it is stored, which then changes nothing."""
        return storable(mask(text))

    def failure(self, exc: BaseException) -> str:
        """The reason for the device's result, which is also logged, with the traceback."""
        self.tell()
        if isinstance(exc, DeviceFailure | TemplateFailure):
            reason = self.mask(str(exc))
        else:  # a fault of ours or a library's
            said = self.of(exc)
            reason = said if said == UNSPEAKABLE else f"internal error: {type(exc).__name__}: {said}"
        self.record(DeviceAction.DEVICE_FAILED, reason, exc)
        return reason

    def saw(self, what: str) -> None:
        """Note what became of the device, for people who follow the job. ``tell`` logs it."""
        self._seen.append(what)

    def tell(self) -> None:
        """Log what was noted, in one line. Three lines for each of thousands of devices would slow the sync down."""
        if self._seen:
            what, self._seen = ", ".join(self._seen), []
            record(DeviceAction.DEVICE_SEEN, job_id=self._job_id, host=self._host.name, what=what)

    def record(self, action: DeviceAction, reason: str, exc: BaseException) -> None:
        """Log a failure with the job, the host and the traceback, which is passed as masked text."""
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
