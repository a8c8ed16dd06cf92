"""The sync of one job's devices, each in a thread: render, open, load, compare, then discard or commit.

A device that fails says why and does not stop the others. ``confirm_mode``: 0 commits; 1 commits with a timer by which
the device reverts, looks whether it can still be reached, and confirms, one device at a time in each thread; 2 does
each of these steps on all devices before the next, and takes everything back when one of them fails.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nornir.core import Nornir
from nornir.core.inventory import Host, Hosts, Inventory
from nornir.core.state import GlobalState
from nornir.core.task import Result, Task

from devices.change_score import change_score
from devices.device import Device, DeviceFailure, log_failure
from devices.masking import Secrets
from devices.rendering import TemplateFailure, render
from devices.report import DeviceReport
from devices.runner import DeviceThreads, num_workers
from devices.state import DeviceStates
from jobs.errors import JobStopped, LockLost
from jobs.task import JobContext

log = logging.getLogger(__name__)

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
    """One device in one job, step by step. A step does nothing when an earlier one failed or left nothing to do."""

    def __init__(self, host: Host, *, device: Device, states: DeviceStates, options: Options, secrets: Secrets) -> None:
        self.host = host
        self.report = DeviceReport()
        self.to_commit = False
        self.pending = False
        self._device = device
        self._known = states[host.name]
        self._states = states
        self._options = options
        self._secrets = secrets
        self._rendered = ""

    def prepare(self) -> None:
        """Find out what would change. Afterwards the device is open if there is something to commit."""
        self._rendered = render(self.host, self._secrets)
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

    def failed(self, reason: str) -> None:
        self.report.failure = reason
        self.to_commit = False

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
        """What is pending is rolled back, or left to the device's own timer."""
        if self.pending and self._device.take_back():
            self.pending = False
            self._states.unchanged(self.host.name)

    def close(self) -> None:
        self._device.close()

    def _record(self) -> None:
        try:
            running = self._device.running_config()
        except DeviceFailure:  # committed all the same; only changes from outside can't be told until the next commit
            running = None
        self._states.committed(self.host.name, rendered=self._rendered, running=running)


class Push:
    """All devices of one job."""

    def __init__(self, ctx: JobContext, nornir: Nornir, hosts: Sequence[Host], options: Options) -> None:
        self._ctx = ctx
        self._options = options
        self._secrets = Secrets.from_environment()
        self._stopped: JobStopped | None = None
        self._states = DeviceStates(ctx, [host.name for host in hosts])
        self._syncs = {
            host.name: DeviceSync(
                host,
                device=Device(host, nornir.config, self._secrets, ctx),
                states=self._states,
                options=options,
                secrets=self._secrets,
            )
            for host in hosts
        }
        # A Nornir of this job's own: the cached one would remember the failed hosts of the job before.
        self._nornir = Nornir(
            inventory=Inventory(
                hosts=Hosts({host.name: host for host in hosts}),
                groups=nornir.inventory.groups,
                defaults=nornir.inventory.defaults,
            ),
            config=nornir.config,
            data=GlobalState(dry_run=options.dry_run),
            runner=DeviceThreads(num_workers=num_workers(nornir.config), ctx=ctx),
        )

    def run(self) -> dict[str, DeviceReport]:
        """Returns a report for each device, in their order. When it returns or raises, no thread is left.

        Raises:
            JobStopped: the job may not go on; devices that were not begun were not touched.
        """
        try:
            if self._options.confirm_mode == 2 and not self._options.dry_run:
                self._all_or_none()
            else:
                self._each(self._one_after_the_other)
        finally:
            for sync in self._syncs.values():
                sync.close()
            self._states.close()
        return {name: sync.report for name, sync in self._syncs.items()}

    # --- confirm_mode 0 and 1, dry runs -------------------------------------------------------------------------------

    def _one_after_the_other(self, sync: DeviceSync) -> None:
        try:
            self._ctx.checkpoint()
            self._attempt(sync, sync.prepare)
            if sync.to_commit:
                self._ctx.checkpoint()
                self._attempt(sync, sync.commit)
            if sync.pending:
                self._ctx.checkpoint()
                if not sync.report.failed:
                    self._attempt(sync, sync.confirm)
                sync.take_back()
        except LockLost:
            raise  # somebody else may be at this device by now: its timer reverts what we left pending
        except JobStopped:
            sync.take_back()
            raise
        finally:
            sync.close()
        self._ctx.device_finished(sync.host.name)

    # --- confirm_mode 2 -----------------------------------------------------------------------------------------------

    def _all_or_none(self) -> None:
        try:
            self._each(self._prepare)
            if not self._failed():
                self._commit_all()
            if self._failed():
                self._take_all_back()
            else:
                self._ctx.checkpoint()
                self._each(self._confirm, even_if_stopping=True)
        except LockLost:
            raise
        except BaseException:  # a soft time limit too
            self._take_all_back()
            raise

    def _commit_all(self) -> None:
        started = time.monotonic()
        self._each(self._commit)
        slow = time.monotonic() - started > self._options.revert_in / 2
        if slow and not self._failed():
            for sync in self._syncs.values():
                if sync.pending:
                    sync.report.failure = (
                        "the commits took so long that the first would revert before they are confirmed"
                    )

    def _prepare(self, sync: DeviceSync) -> None:
        self._ctx.checkpoint()
        self._attempt(sync, sync.prepare)
        if not sync.to_commit:
            sync.close()
            self._ctx.device_finished(sync.host.name)

    def _commit(self, sync: DeviceSync) -> None:
        if sync.to_commit and not self._failed():
            self._ctx.checkpoint()
            self._attempt(sync, sync.commit)

    def _confirm(self, sync: DeviceSync) -> None:
        if not sync.pending:
            return
        try:
            self._ctx.checkpoint()
        except LockLost:
            raise
        except JobStopped as stopped:  # some are confirmed: "all" is the nearer way out, as long as the lock is ours
            if not self._states.hold_lock():
                raise
            self._stopped = stopped
        self._attempt(sync, sync.confirm)
        sync.take_back()
        sync.close()
        self._ctx.device_finished(sync.host.name)

    def _take_all_back(self) -> None:
        failed = ", ".join(self._failed()[:3])
        reason = f"not committed, because of {failed}: confirm_mode 2 means all devices or none"

        def take_back(sync: DeviceSync) -> None:
            if not sync.to_commit:
                return
            sync.take_back()
            sync.close()
            sync.report.failure = sync.report.failure or reason
            self._ctx.device_finished(sync.host.name)

        self._each(take_back, even_if_stopping=True)

    def _failed(self) -> list[str]:
        return [name for name, sync in self._syncs.items() if sync.report.failed]

    # --- both ---------------------------------------------------------------------------------------------------------

    def _each(self, step: Callable[[DeviceSync], None], *, even_if_stopping: bool = False) -> None:
        def on_host(task: Task) -> Result:
            if even_if_stopping or not self._ctx.stopping:
                try:
                    step(self._syncs[task.host.name])
                except JobStopped as stopped:
                    self._stopped = stopped
            return Result(host=task.host)

        self._nornir.run(task=on_host, name=getattr(step, "__name__", "sync").strip("_"))
        if self._stopped is not None:
            raise self._stopped
        if self._ctx.stopping and not even_if_stopping:
            self._ctx.checkpoint()

    def _attempt(self, sync: DeviceSync, step: Callable[[], None]) -> None:
        name = sync.host.name
        try:
            step()
        except JobStopped:
            raise
        except DeviceFailure as failure:  # its cause was logged where it was seen
            sync.failed(str(failure))
            log.warning("%s: %s", name, failure, extra={"job_id": self._ctx.job_id, "host": name})
        except TemplateFailure as failure:
            sync.failed(self._secrets.mask(str(failure)))
            message = f"{name}: {failure}"
            log_failure(logging.ERROR, message, failure, ctx=self._ctx, host=name, mask=self._secrets.mask)
        except Exception as exc:  # noqa: BLE001  (a fault of ours or a library's ends this device, not the others)
            sync.failed(self._secrets.mask(f"internal error: {type(exc).__name__}: {exc}")[:300])
            message = f"{name}: internal error"
            log_failure(logging.ERROR, message, exc, ctx=self._ctx, host=name, mask=self._secrets.mask)
