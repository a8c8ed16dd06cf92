"""The sync of one job's devices: what is done with each of them. ``ctx.each`` goes through them.

A device that fails says why and does not stop the others. ``confirm_mode``: 0 commits; 1 commits with a timer after
which the device reverts, checks that it can still be reached, and confirms; 2 does each of these steps on all devices
before the next step, and takes everything back if one of them fails.

Every process that helps with the job has its own campaign, for the devices that it is working on.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Final, TypeVar

from nornir.core import Nornir
from nornir.core.inventory import Host

from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Secrets
from devices.drivers import known_options, ssh_config_file
from devices.inventory.configuration import workers
from devices.rendering import RenderedAhead, refresh, warm_up
from devices.sync.alike import alike
from devices.sync.device import Device
from devices.sync.one_device import DeviceSync, Options
from devices.sync.report import DeviceReport
from devices.sync.state import DeviceStates
from devices.sync.words import Words
from jobs.device_models import TOO_LONG
from jobs.errors import JobStopped
from jobs.task import DeviceResult, Done, JobContext

T = TypeVar("T")

COMMIT, CONFIRM = "commit", "confirm"
_SPARE: Final = timedelta(seconds=60)  # a commit may reach its device this long after it was sent


def _said_in_its_report(step: Callable[..., T]) -> Callable[..., T | DeviceResult]:
    """A step of the campaign in which an exception fails only the device at hand, not the job."""

    @wraps(step)
    def guarded(campaign: "Campaign", host: Host, *more: str) -> T | DeviceResult:
        try:
            return step(campaign, host, *more)
        except JobStopped:
            raise
        except BaseException as exc:
            if host.name not in campaign.in_hand:
                raise
            return campaign.broke(campaign.in_hand[host.name], exc)

    return guarded


class Campaign:
    """What is done with the devices of one job, in this process."""

    def __init__(self, ctx: JobContext, nornir: Nornir, hosts: Sequence[Host], options: Options) -> None:
        self._ctx = ctx
        self._options = options
        self._hosts = hosts
        self._at_once = workers(nornir.config)
        self._ssh_config = ssh_config_file(nornir.config)
        self._options_of_hosts = known_options(nornir)
        self._secrets = Secrets.from_environment()
        refresh()
        warm_up()
        self._rendered = RenderedAhead(self._secrets)
        self._states = DeviceStates(ctx, [host.name for host in hosts])
        self.in_hand: dict[str, DeviceSync] = {}
        self._one_failed = False

    def run(self) -> Done:
        """Go through them.

        Raises:
            JobStopped: the job may not go on; devices that had not begun were not touched.
        """
        all_or_none = self._options.confirm_mode == 2 and not self._options.dry_run
        steps = (self._prepare, self._commit, self._confirm) if all_or_none else (self._sync,)
        return self._ctx.each(
            self._hosts,
            *steps,
            at_once=self._at_once,
            lost=self._lost,
            hung=self._hung,
            back=self._back,
            leaving=self._states.close,
            beforehand=self._rendered.expect,
            all_or_none=all_or_none,
            reads_first=True,
            within=self._options.revert_in / 2,
            alike=alike(self._secrets) if len(self._hosts) > self._at_once else "",  # else nobody will help
        )

    # --- confirm_mode 0 and 1, dry runs -------------------------------------------------------------------------------

    @_said_in_its_report
    def _sync(self, host: Host) -> DeviceResult:
        sync = self._begun(host)
        sync.attempt(sync.find_changes)
        if sync.to_commit:
            self._attempt_commit(sync)
        if sync.pending:
            self._ctx.about_to(CONFIRM)
            if not sync.report.failed:
                sync.attempt(sync.confirm)
            self._take_back(sync)
        return self._over(sync)

    # --- confirm_mode 2 -----------------------------------------------------------------------------------------------

    @_said_in_its_report
    def _prepare(self, host: Host) -> DeviceResult | None:
        sync = self._begun(host)
        sync.attempt(sync.find_changes)
        if not sync.to_commit:
            return self._over(sync)
        sync.words.tell()
        return None

    @_said_in_its_report
    def _commit(self, host: Host) -> DeviceResult | None:
        sync = self.in_hand[host.name]
        if self._one_failed:  # none will be confirmed, so this one need not be committed
            return None
        if self._attempt_commit(sync):
            sync.words.tell()
            return None
        self._take_back(sync)
        return self._over(sync)

    @_said_in_its_report
    def _confirm(self, host: Host) -> DeviceResult:
        sync = self.in_hand[host.name]
        sync.attempt(sync.confirm)
        self._take_back(sync)
        return self._over(sync)

    # --- how a device ends otherwise ----------------------------------------------------------------------------------

    @_said_in_its_report
    def _back(self, host: Host, why: str) -> DeviceResult:
        """End a device that takes no further step: the job is stopped, or with confirm_mode 2 another device failed."""
        sync = self.in_hand[host.name]
        self._take_back(sync)
        if not sync.report.failed:
            if self._ctx.stopping:
                sync.report.failure = f"{sync.became}: {sync.words.of(JobStopped(why))}"
            else:
                sync.report.failure = f"{sync.became} because of {_in_full(why)}: confirm_mode 2 is all devices or none"
        return self._over(sync)

    def _hung(self, host: Host, step: str) -> DeviceResult:
        sync = self.in_hand[host.name]
        sync.give_up(step, seconds=conf.device_seconds)
        return self._over(sync)

    def _lost(self, host: Host, why: str) -> dict[str, Any]:
        """The report of a device whose process died: its configuration and diff are gone with that."""
        return DeviceReport(failure=why).as_result()

    # --- what they are made of ----------------------------------------------------------------------------------------

    def _begun(self, host: Host) -> DeviceSync:
        words = Words(host, self._ctx.job_id)
        sync = self.in_hand[host.name] = DeviceSync(
            host,
            device=Device(host, self._ssh_config, self._options_of_hosts, words, self._ctx),
            states=self._states,
            options=self._options,
            render=lambda host: self._rendered.render(host, self._ctx.checkpoint),
            words=words,
        )
        return sync

    def _attempt_commit(self, sync: DeviceSync) -> bool:
        reverts = datetime.now(UTC) + timedelta(seconds=self._options.revert_in) + _SPARE
        if_lost = f"the device reverts by itself by {reverts:%H:%M} UTC" if self._options.confirms else None
        self._states.about_to_commit(sync.host.name, COMMIT, if_lost=if_lost)
        return sync.attempt(sync.commit)

    def _take_back(self, sync: DeviceSync) -> None:
        """Roll its pending commit back, but only while the lock is certainly ours.

        Otherwise another job may be using the device, and the device's timer reverts our commit.
        """
        if not sync.pending:
            return
        if self._ctx.holds_lock():
            sync.take_back()
        elif sync.report.failed:
            sync.report.failure = f"{sync.report.failure}; {sync.became}"

    def broke(self, sync: DeviceSync, exc: BaseException) -> DeviceResult:
        """The result after an unforeseen exception. The connection may be in any state, so it is not closed."""
        sync.failed(exc)
        if sync.pending:
            sync.report.failure = f"{sync.report.failure}; {sync.became}"
        return self._result(sync)

    def _over(self, sync: DeviceSync) -> DeviceResult:
        sync.close()
        return self._result(sync)

    def _result(self, sync: DeviceSync) -> DeviceResult:
        sync.words.tell()
        del self.in_hand[sync.host.name]
        self._one_failed |= sync.report.failed
        return DeviceResult(
            report=sync.report.as_result(),
            failed=sync.report.failure,
            change_score=sync.report.change_score,
            changed=bool(sync.report.diff),
            memo=None if sync.shown is None else sync.shown.as_memo(),
        )


def _in_full(why: str) -> str:
    """Why the devices are taken back, in words. A step that was refused for its time says what that means in a sync."""
    if not why.startswith(TOO_LONG):
        return why
    return "the time the commits took (the first may revert before the last is confirmed)"
