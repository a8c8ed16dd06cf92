"""One device during a sync: NAPALM's verbs, with failures described in one short line without secrets."""

import contextlib
import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType

from napalm.base import NetworkDriver
from napalm.base.exceptions import LockError
from nornir.core.inventory import Host

from cnaasjobs.conf import conf
from devices.actions import DeviceAction
from devices.drivers import NoDriver, driver_of, has_commit_confirm, pending_name
from devices.sync.words import DeviceFailure, Words
from jobs.errors import JobStopped
from jobs.task import JobContext

PROBE_SECONDS = 30.0  # how long a device may be unreachable after a commit before the commit is taken back
PROBE_PAUSE_SECONDS = 3.0
CLOSING = "connection not closed"


class Device:
    """The connection to one device. Used by one thread at a time, never the main thread: whatever its driver raises
    there, even SystemExit or KeyboardInterrupt, is a failure of the device.
    """

    def __init__(self, host: Host, ssh_config: str | None, words: Words, ctx: JobContext) -> None:
        self._host = host
        self._ssh_config = ssh_config
        self._words = words
        self._ctx = ctx
        self._seconds = conf.device_seconds
        self._driver: NetworkDriver | None = None
        self._loaded = False

    @property
    def driver(self) -> NetworkDriver:
        if self._driver is None:
            raise DeviceFailure("not connected")
        return self._driver

    @property
    def is_open(self) -> bool:
        """Whether it may have a connection: one was opened, or attempted."""
        return self._driver is not None

    @functools.cached_property
    def _new_driver(self) -> Callable[[], NetworkDriver]:
        try:
            return driver_of(self._host, self._ssh_config)
        except NoDriver as exc:
            raise DeviceFailure(str(exc)) from exc

    def open(self) -> None:
        with self._step("cannot connect"):
            self._driver = self._new_driver()
            self._driver.open()

    def close(self) -> None:
        """Close the connection if one was opened, or tried, and leave no candidate behind. Failures are only logged."""
        driver, self._driver = self._driver, None
        loaded, self._loaded = self._loaded, False
        if driver is None:
            return
        try:
            with self._patience(CLOSING):
                if loaded:
                    with contextlib.suppress(BaseException):  # the connection may be gone; close it nevertheless
                        driver.discard_config()
                driver.close()
        except BaseException as exc:  # noqa: BLE001  (it was never complete, or the device has ended it)
            self._words.record(DeviceAction.CLOSE_FAILED, "connection not closed cleanly", exc)

    def give_up(self) -> None:
        """A thread hangs in the driver: from now on nothing here uses it."""
        self._driver, self._loaded = None, False

    def require_commit_confirm(self) -> None:
        """Before any change: does its driver support what confirm_mode 1 and 2 need, and is the device free for it?"""
        pending = None
        if has_commit_confirm(self.driver):
            pending = self.has_pending_commit()
        if pending is None:
            kind = type(self.driver).__name__
            raise DeviceFailure(f"driver {kind} has no commit-confirm; sync this device with confirm_mode 0")
        self._refuse(pending)

    def require_no_pending_commit(self) -> None:
        """Raise DeviceFailure if another commit is pending, as far as the driver can tell. If it can't, go on."""
        self._refuse(self.waits_for_confirmation())

    def waits_for_confirmation(self) -> bool:
        """Whether any commit waits, as far as its driver can tell."""
        try:
            return has_commit_confirm(self.driver) and bool(self.has_pending_commit())
        except DeviceFailure as failure:
            self._words.record(DeviceAction.PENDING_UNKNOWN, str(failure), failure)
            return False

    def has_pending_commit(self) -> bool | None:
        """Whether an unconfirmed commit waits on the device; None if the driver can't tell."""
        with self._step("cannot ask for pending commits"):
            try:
                return bool(self.driver.has_pending_commit())
            except NotImplementedError:
                return None

    def pending_name(self) -> str | None:
        """What distinguishes the unconfirmed commit on the device from others; empty if none waits, None if unknown."""
        try:
            with self._step("cannot ask which commit is pending"):
                return pending_name(self.driver)
        except DeviceFailure as failure:
            self._words.record(DeviceAction.PENDING_UNKNOWN, str(failure), failure)
            return None

    def running_config(self) -> str | None:
        """The running configuration; None if the driver can't show it."""
        with self._step("cannot read the running configuration"):
            try:
                return str(self.driver.get_config(retrieve="running")["running"])
            except NotImplementedError:
                return None

    def load(self, configuration: str) -> None:
        self._loaded = True  # perhaps in part, if it fails
        with self._step("configuration not accepted"):
            self.driver.load_replace_candidate(config=configuration)

    def compare(self) -> str:
        with self._step("cannot compare configurations"):
            diff = self.driver.compare_config()
        if diff is not None and not isinstance(diff, str):
            raise DeviceFailure(f"driver {type(self.driver).__name__} does not return text when it compares")
        return diff or ""

    def discard(self) -> None:
        with self._step("candidate configuration not discarded"):
            self.driver.discard_config()
        self._loaded = False

    def commit(self, *, revert_in: int | None) -> None:
        """Commit the candidate; with ``revert_in`` (seconds) it must be confirmed. Never with a message.

        Several drivers raise if they get a message, and Junos' driver can't find a pending commit that has one.
        """
        with self._step("commit failed"):
            if revert_in is None:
                self.driver.commit_config()
            else:
                self.driver.commit_config(revert_in=revert_in)
        self._loaded = False

    def probe(self) -> None:
        """Can the device still be reached by a new connection? The first one may survive a change that locks us out."""
        started = time.monotonic()
        while True:
            second: NetworkDriver | None = None
            try:
                with self._patience("not reachable after the commit"):
                    second = self._new_driver()
                    second.open()
                return
            except LockError:  # it answered: our first connection holds the device's lock
                return
            except BaseException as exc:
                if time.monotonic() - started > PROBE_SECONDS or self._ctx.next_stop(PROBE_PAUSE_SECONDS):
                    what = f"not reachable after the commit: {self._in_words(exc)}"
                    raise DeviceFailure(what) from exc
            finally:
                if second is not None:
                    with contextlib.suppress(BaseException):  # it has served its purpose
                        second.close()

    def confirm_commit(self) -> None:
        with self._step("confirm failed"):
            self.driver.confirm_commit()

    def rollback(self) -> None:
        """Roll back whatever commit is pending, whoever made it: ``TimedCommit`` knows whether this may be called."""
        with self._step("rollback failed"):
            self.driver.rollback()

    def _patience(self, at: str) -> AbstractContextManager[None]:
        """A call into a driver, which may wait forever."""
        return self._ctx.patience(self._seconds, at)

    @staticmethod
    def _refuse(pending: bool | None) -> None:
        if pending:
            raise DeviceFailure("an earlier commit waits for its confirmation on the device; it reverts by itself")

    def _step(self, what: str) -> "_Step":
        return _Step(self, what)

    def _in_words(self, exc: BaseException) -> str:
        said = self._words.of(exc)
        if not isinstance(exc, NotImplementedError):
            return said
        unsupported = f"driver {type(self._driver).__name__} does not support it"
        return unsupported if said == type(exc).__name__ else f"{unsupported} ({said})"


class _Step(AbstractContextManager[None]):
    """A call into a driver, and the words for its failure. A class: a generator is slower."""

    __slots__ = ("_device", "_patience", "_what")

    def __init__(self, device: Device, what: str) -> None:
        self._device, self._what = device, what

    def __enter__(self) -> None:
        self._patience = self._device._patience(self._what)
        self._patience.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patience.__exit__(kind, exc, trace)
        if exc is None or isinstance(exc, DeviceFailure | JobStopped):
            return
        # A third-party driver may raise anything: its device failed.
        raise DeviceFailure(f"{self._what}: {self._device._in_words(exc)}") from exc
