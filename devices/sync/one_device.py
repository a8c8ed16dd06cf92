"""One device in one job, step by step: render, open, load, compare, then discard or commit, and confirm."""

from collections.abc import Callable
from dataclasses import dataclass

from nornir.core.inventory import Host

from cnaasjobs.secrecy import storable
from devices.actions import DeviceAction
from devices.sync.change_score import change_score
from devices.sync.device import CLOSING, Device
from devices.sync.known import Fingerprint, essential, same
from devices.sync.plan import Plan, Shown
from devices.sync.report import DeviceReport
from devices.sync.state import DeviceStates
from devices.sync.timed_commit import ROLLED_BACK, TimedCommit
from devices.sync.words import DeviceFailure, Words
from jobs.errors import JobStopped

UNRECOGNISABLE = "its configuration differs at each reading: changes made outside can't be noticed"
COMMITTED = "it was committed"  # for good
RUNS_THE_NEW = "the device runs the new configuration nevertheless"
NOT_AS_BEFORE = "the device does not run what it ran before"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How devices are synchronised."""

    dry_run: bool
    force: bool
    resync: bool
    confirm_mode: int
    revert_in: int  # seconds, in whole minutes
    plan: Plan | None = None  # the dry run: nothing may be changed but what it showed

    @property
    def confirms(self) -> bool:
        return self.confirm_mode > 0


class DeviceSync:
    """One device in one job. Call its steps through ``attempt``, which puts a failure into ``report`` and the log."""

    def __init__(
        self,
        host: Host,
        *,
        device: Device,
        states: DeviceStates,
        options: Options,
        render: Callable[[Host], str],
        words: Words,
    ) -> None:
        self.host = host
        self._platform = host.platform  # looked up in the host's groups each time
        self.report = DeviceReport()
        self.words = words
        self.to_commit = False
        self.shown: Shown | None = None  # of a dry run that came to a diff
        self._device = device
        self._known = states[host.name]
        self._states = states
        self._options = options
        self._render = render  # raises JobStopped when the job may not go on
        self._rendered = ""
        self._before: str | None = None  # the running configuration, where there is one to compare it with
        self._pending: TimedCommit | None = None
        self._came_to = ""  # what is to be said of the commit if the device fails now
        self._fate = ""  # what happened to a commit that was not confirmed

    # --- steps --------------------------------------------------------------------------------------------------------

    def find_changes(self) -> None:
        """Find out what would change. Afterwards the device is open if there is something to commit."""
        self._rendered = self._render(self.host)
        self.report.config = storable(self._rendered)
        options, known = self._options, self._known
        in_sync = not (options.dry_run or options.resync or options.plan) and known.in_sync(self._rendered)
        if in_sync and not options.force:
            self.words.saw("in sync")
            return
        self._device.open()
        self._before = self._read_before()
        differs = known.differs(self._before)
        if in_sync and not differs:
            self.words.saw("in sync")
            return
        self._require_free()
        self._device.load(self._rendered)
        diff = self._device.compare()
        self.report.diff = storable(diff)
        self.report.change_score = change_score(diff)
        self._compare_with_plan(diff)
        if differs:
            self._differs()
        self.words.saw(f"a change of score {self.report.change_score}" if diff else "no change")
        if diff and not options.dry_run:
            self.to_commit = True
            return
        self._device.discard()
        if not options.dry_run:
            self._record()

    def commit(self) -> None:
        """``DeviceStates.about_to_commit`` must have been called just before."""
        try:
            self._require_free()  # it was free when its changes were found, but that may be a while ago
        except DeviceFailure:
            self._states.unchanged(self.host.name)
            raise
        self._came_to = "if it was made, it reverts by itself" if self._options.confirms else "its state is not known"
        try:
            if not self._options.confirms:
                self._device.commit(revert_in=None)
            else:
                self._pending = TimedCommit(self._device, self.words, revert_in=self._options.revert_in)
        except DeviceFailure as failure:
            raise DeviceFailure("; ".join([str(failure), *self._after_failed_commit()])) from failure
        if self._pending is None:
            self._came_to = COMMITTED
            self.words.saw("committed")
            self._record()
        else:
            self._came_to = ""  # ``_pending`` knows
            self.words.saw("committed with a timer")
            self._device.probe()

    def confirm(self) -> None:
        if self._pending is not None:
            self._pending.confirm()
            self._pending = None
            self._came_to = COMMITTED
            self.words.saw("confirmed")
            self._record()

    def take_back(self) -> None:
        """Undo the commit that waits for its confirmation, if there is one; the report says what happened to it."""
        pending = self._pending
        if pending is None:
            return
        self._fate = self._came_to = pending.take_back()
        self._pending = None
        if self._fate == ROLLED_BACK:
            as_before = None if self._before is None else self._is_as_before(self._readable())
            if as_before is None:
                self._states.unchanged(self.host.name)  # nobody can check, so the device's answer is enough
            elif not as_before:
                self._fate = f"{ROLLED_BACK}, but {NOT_AS_BEFORE}"
        if self.report.failure and self._fate:
            self.report.failure += f"; {self._fate}"

    def attempt(self, step: Callable[[], None]) -> bool:
        """Do a step of this object; False if the device failed, whatever was raised. Only JobStopped is passed on."""
        try:
            step()
        except JobStopped:
            raise
        except BaseException as exc:  # noqa: BLE001  (any fault ends this device, not the others)
            self.failed(exc)
        return not self.report.failed

    def failed(self, exc: BaseException) -> None:
        said = (self.report.failure, self.words.failure(exc), self._came_to)  # after its first failure come others
        self.report.failure = "; ".join(filter(None, said))

    def give_up(self, step: str, *, seconds: float) -> None:
        """Its thread hangs in this step and will not return. This fails the device, unless it was only being closed."""
        self._device.give_up()
        pending, self._pending = self._pending, None
        if step == CLOSING:
            return
        self.failed(DeviceFailure(f"{step}: no answer within {seconds:g} seconds (CNAASJOBS_DEVICE_SECONDS)"))
        if pending is not None:
            self.report.failure = f"{self.report.failure}; if it is not confirmed, it {pending.reverts}"

    @property
    def pending(self) -> bool:
        """Whether a commit of ours waits for its confirmation, as far as we know."""
        return self._pending is not None

    @property
    def became(self) -> str:
        """What happened to its changes, for a device that was stopped before they were confirmed."""
        fate = self._fate if self._pending is None else self._pending.reverts
        return f"committed, and {fate}" if fate else "not committed"

    def close(self) -> None:
        """Close the device after its last step."""
        self._device.close()

    # --- what they are made of ----------------------------------------------------------------------------------------

    def _require_free(self) -> None:
        if self._options.dry_run:
            if self._device.waits_for_confirmation():
                self.report.notes.append("a commit waits for its confirmation on the device, which may revert it")
        elif self._options.confirms:
            self._device.require_commit_confirm()
        else:
            self._device.require_no_pending_commit()

    def _read_before(self) -> str | None:
        """The running configuration, if it is needed: to recognise the device, or for a plan, which can do without."""
        if self._known.fingerprint:
            return self._running_config()
        return self._readable() if self._options.dry_run or self._options.plan else None

    def _compare_with_plan(self, diff: str) -> None:
        if self._options.dry_run:
            running = self._as_it_runs()
            self.shown = Shown.of(rendered=self._rendered, running=running, diff=diff)
        elif self._options.plan is not None:
            self._options.plan.require(self.host.name, rendered=self._rendered, running=self._before, diff=diff)

    def _as_it_runs(self) -> Fingerprint:
        """The fingerprint of the running configuration, without the lines that differ by themselves.

        After our last commit these were stored. Before the first one, a second reading shows them.
        """
        if self._before is not None and self._known.fingerprint:
            return Fingerprint.of_one(self._before, self._known.fingerprint.unstable)
        return Fingerprint.of(self._before, self._readable())

    def _readable(self) -> str | None:
        """The running configuration; None if it can't be read, which is logged, and does not fail the device."""
        try:
            return self._running_config()
        except DeviceFailure as failure:
            self.words.record(DeviceAction.CONFIG_UNREAD, str(failure), failure)
            return None

    def _differs(self) -> None:
        """The device does not run what our last commit left: fail it, unless nothing differs or ``force`` is given."""
        since = self._known.uncertain_job_id
        if since is None:
            what = "the configuration was changed outside since the last commit"
        else:
            what = f"unknown since job {since}: the device does not run what was known before"
        if not self.report.diff:
            self.report.notes.append(f"{what}, and is exactly what it should be: taken as in sync")
        elif not self._options.force:
            raise DeviceFailure(f"{what}; use force to overwrite that")

    def _record(self) -> None:
        """Store that the device was committed for good, and what it runs now, if that can be recognised later."""
        fingerprint = Fingerprint()
        try:
            first = self._running_config()
            # What is shown exactly as it was sent has no lines that differ by themselves.
            as_sent = first == essential(self._rendered, self._platform)
            second = first if as_sent else self._running_config()
            fingerprint = Fingerprint.of(first, second)
            if first is not None and not fingerprint:
                self.report.notes.append(UNRECOGNISABLE)
        except Exception as exc:  # noqa: BLE001  (it is committed nevertheless)
            self.words.record(DeviceAction.CONFIG_UNREAD, self.words.of(exc), exc)
        changed = bool(self.report.diff)
        self._states.committed(self.host.name, rendered=self._rendered, fingerprint=fingerprint, changed=changed)

    def _after_failed_commit(self) -> list[str]:
        """What a failed commit left behind, if anything. It is not touched."""
        said = []
        if self._device.waits_for_confirmation():
            said.append("a commit that may not be ours waits for its confirmation on the device, and is left alone")
        if self._before is None:
            return said or self._by_a_second_diff()
        as_before = self._is_as_before(self._readable())
        if as_before is None:
            return said
        self._came_to = ""
        return said if as_before else [*said, NOT_AS_BEFORE]

    def _by_a_second_diff(self) -> list[str]:
        """After a failed commit, where what ran before was not read: is there the same to change, or nothing?"""
        try:
            self._device.load(self._rendered)
            left = storable(self._device.compare())
        except DeviceFailure as failure:
            self.words.record(DeviceAction.CONFIG_UNREAD, str(failure), failure)
            return []
        if left in ("", self.report.diff):
            self._came_to = ""
        return [] if left else [RUNS_THE_NEW]

    def _is_as_before(self, running: str | None) -> bool | None:
        """After a commit that failed or was taken back: does the device run what it ran before? None if unknown.

        If so, what was known about it still holds.
        """
        if self._before is None or running is None:
            return None
        unchanged = same(self._before, running, unstable=self._known.fingerprint.unstable)
        if unchanged:
            self._states.unchanged(self.host.name)
        return unchanged

    def _running_config(self) -> str | None:
        running = self._device.running_config()
        return None if running is None else essential(running, self._platform)
