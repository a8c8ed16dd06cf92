"""One device in one job, step by step: render, open, load, compare, then discard or commit, and confirm."""

from collections.abc import Callable
from dataclasses import dataclass

from nornir.core.inventory import Host

from devices.actions import DeviceAction
from devices.masking import Secrets
from devices.rendering import render
from devices.sync.change_score import change_score
from devices.sync.device import Device
from devices.sync.report import DeviceReport
from devices.sync.state import DeviceStates
from devices.sync.words import DeviceFailure, Words
from jobs.errors import JobStopped

CHANGED_OUTSIDE = "the configuration was changed outside since the last commit; use force to overwrite that"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How devices are to be synchronised."""

    dry_run: bool
    force: bool
    resync: bool
    confirm_mode: int
    revert_in: int  # seconds, in whole minutes

    @property
    def confirms(self) -> bool:
        return not self.dry_run and self.confirm_mode > 0


class DeviceSync:
    """One device in one job. ``attempt`` its steps: a failure then stands in ``report``, and in the log."""

    def __init__(
        self,
        host: Host,
        *,
        device: Device,
        states: DeviceStates,
        options: Options,
        secrets: Secrets,
        words: Words,
        wanted: Callable[[], None],
    ) -> None:
        self.host = host
        self.report = DeviceReport()
        self.to_commit = False
        self.pending = False
        self._device = device
        self._known = states[host.name]
        self._states = states
        self._options = options
        self._secrets = secrets
        self._words = words
        self._wanted = wanted  # raises JobStopped when the job may not go on
        self._rendered = ""

    def find_changes(self) -> None:
        """Find out what would change. Afterwards the device is open if there is something to commit."""
        self._rendered = render(self.host, self._secrets, self._wanted)
        self.report.config = self._secrets.mask(self._rendered)
        options = self._options
        in_sync = not options.dry_run and not options.resync and self._known.in_sync(self._rendered)
        if in_sync and not options.force:
            return
        self._device.open()
        running = self._device.running_config() if self._known.running_hash else None
        outside = self._known.changed_outside(running)
        if in_sync and not outside:
            return
        self._compare()
        if outside and not options.force:
            raise DeviceFailure(CHANGED_OUTSIDE)
        if options.dry_run:
            self._device.discard()
        elif self.report.diff:
            self.to_commit = True
        else:
            self._device.discard()
            self._record()

    def _compare(self) -> None:
        if self._options.confirms:
            self._device.require_commit_confirm()
        elif not self._options.dry_run:
            self._device.require_no_pending_commit()
        self._device.load(self._rendered)
        diff = self._device.compare()
        self.report.diff = self._secrets.mask(diff)
        self.report.change_score = change_score(diff)

    def attempt(self, step: Callable[[], None]) -> bool:
        """Do a step of this object; False if the device failed, whatever was raised. Only JobStopped passes."""
        try:
            step()
        except JobStopped:
            raise
        except BaseException as exc:  # noqa: BLE001  (a fault of anybody's ends this device, not the others)
            self.failed(exc)
        return not self.report.failed

    def failed(self, exc: BaseException) -> None:
        self.report.failure = self._words.failure(exc)

    def commit(self) -> None:
        self._states.about_to_commit(self.host.name)
        if self._options.confirm_mode == 0:
            self._device.commit(revert_in=None)
            self._record()
            return
        self.pending = True
        self._device.commit(revert_in=self._options.revert_in)
        self._device.probe()

    def confirm(self) -> None:
        self._device.confirm()
        self.pending = False
        self._record()

    def take_back(self) -> None:
        """Roll back what is pending; if that can't be, the device's own timer does it."""
        if self.pending and self._device.take_back():
            self.pending = False
            self._states.unchanged(self.host.name)

    @property
    def is_open(self) -> bool:
        return self._device.is_open

    def close(self) -> None:
        self._device.close()

    def _record(self) -> None:
        try:
            running = self._device.running_config()
        except DeviceFailure as failure:  # committed all the same; until the next commit nobody can tell what changed
            self._words.record(DeviceAction.CONFIG_UNREAD, str(failure), failure)
            running = None
        self._states.committed(self.host.name, rendered=self._rendered, running=running)
