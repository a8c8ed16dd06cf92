"""One device during a sync: NAPALM's verbs, with failures described in one short line without secrets."""

import contextlib
import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from napalm.base import NetworkDriver
from napalm.base.exceptions import LockError
from nornir.core.inventory import Host

from cnaasjobs.conf import conf
from devices.actions import DeviceAction
from devices.drivers import KnownOptions, NoDriver, driver_of, has_commit_confirm, pending_name
from devices.sync.words import DeviceFailure, Words
from jobs.task import JobContext

T = TypeVar("T")

PROBE_SECONDS = 30.0  # how long a device may be unreachable after a commit before the commit is taken back
PROBE_PAUSE_SECONDS = 3.0
CLOSING = "connection not closed"
CLOSING_PROBE = "connection of the reachability check not closed"


class Device:
    """The connection to one device. Used by one thread at a time, never the main thread: whatever its driver raises
    there, even SystemExit or KeyboardInterrupt, is a failure of the device.
    """

    def __init__(
        self, host: Host, ssh_config: str | None, options: KnownOptions, words: Words, ctx: JobContext
    ) -> None:
        self._host = host
        self._ssh_config = ssh_config
        self._options = options
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

    @functools.cached_property
    def _new_driver(self) -> Callable[[], NetworkDriver]:
        try:
            return driver_of(self._host, self._ssh_config, self._options)
        except NoDriver as exc:
            raise DeviceFailure(str(exc)) from exc

    def open(self) -> None:
        self._asked("cannot connect", self._connect)

    def _connect(self) -> None:
        self._driver = self._new_driver()
        self._driver.open()

    def close(self) -> None:
        """Close the connection if one was opened, or tried, and leave no candidate behind. Failures are only logged."""
        driver = self._driver
        if driver is None:
            return
        try:
            with self._patience(CLOSING):
                if self._loaded:
                    with contextlib.suppress(BaseException):  # the connection may be gone; close it nevertheless
                        driver.discard_config()
                driver.close()
        except BaseException as exc:  # noqa: BLE001  (it was never complete, or the device has ended it)
            self._words.record(DeviceAction.CLOSE_FAILED, "connection not closed cleanly", exc)

    def give_up(self) -> None:
        """A thread hangs in the driver: from now on nothing here uses it."""
        self._driver = None

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

        def ask() -> bool | None:
            try:
                return bool(self.driver.has_pending_commit())
            except NotImplementedError:
                return None

        return self._asked("cannot ask for pending commits", ask)

    def pending_name(self) -> str | None:
        """What distinguishes the unconfirmed commit on the device from others; empty if none waits, None if unknown."""
        try:
            return self._asked("cannot ask which commit is pending", lambda: pending_name(self.driver))
        except DeviceFailure as failure:
            self._words.record(DeviceAction.PENDING_UNKNOWN, str(failure), failure)
            return None

    def running_config(self) -> str | None:
        """The running configuration; None if the driver can't show it."""

        def ask() -> str | None:
            try:
                return str(self.driver.get_config(retrieve="running")["running"])
            except NotImplementedError:
                return None

        return self._asked("cannot read the running configuration", ask)

    def load(self, configuration: str) -> None:
        self._loaded = True  # perhaps in part, if it fails
        self._asked("configuration not accepted", lambda: self.driver.load_replace_candidate(config=configuration))

    def compare(self) -> str:
        diff: object = self._asked("cannot compare configurations", lambda: self.driver.compare_config())
        if diff is not None and not isinstance(diff, str):
            raise DeviceFailure(f"driver {type(self.driver).__name__} does not return text when it compares")
        return diff or ""

    def discard(self) -> None:
        self._asked("candidate configuration not discarded", lambda: self.driver.discard_config())
        self._loaded = False

    def commit(self, *, revert_in: int | None) -> None:
        """Commit the candidate; with ``revert_in`` (seconds) it must be confirmed. Never with a message.

        Several drivers raise if they get a message, and Junos' driver can't find a pending commit that has one.
        """
        timer = {} if revert_in is None else {"revert_in": revert_in}
        self._asked("commit failed", lambda: self.driver.commit_config(**timer))
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
                    # It has served its purpose.
                    with contextlib.suppress(BaseException), self._patience(CLOSING_PROBE):
                        second.close()

    def confirm_commit(self) -> None:
        self._asked("confirm failed", lambda: self.driver.confirm_commit())

    def rollback(self) -> None:
        """Roll back whatever commit is pending, whoever made it: ``TimedCommit`` knows whether this may be called."""
        self._asked("rollback failed", lambda: self.driver.rollback())

    def _patience(self, at: str) -> AbstractContextManager[None]:
        """A call into a driver, which may wait forever."""
        return self._ctx.patience(self._seconds, at)

    @staticmethod
    def _refuse(pending: bool | None) -> None:
        if pending:
            raise DeviceFailure("an earlier commit waits for its confirmation on the device; it reverts by itself")

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        """A call into the driver; ``what`` are the words for its failure. One driver is asked a dozen times.

        Raises:
            DeviceFailure: whatever it raised.
        """
        try:
            with self._patience(what):
                return ask()
        except DeviceFailure:
            raise
        except BaseException as exc:  # a third-party driver may raise anything: its device failed
            raise DeviceFailure(f"{what}: {self._in_words(exc)}") from exc

    def _in_words(self, exc: BaseException) -> str:
        said = self._words.of(exc)
        if not isinstance(exc, NotImplementedError):
            return said
        unsupported = f"driver {type(self._driver).__name__} does not support it"
        return unsupported if said == type(exc).__name__ else f"{unsupported} ({said})"
