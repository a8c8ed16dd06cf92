"""The sync of one job's devices, several at a time, each in its own thread.

A device that fails says why and does not stop the others. ``confirm_mode``: 0 commits; 1 commits with a timer after
which the device reverts, checks that it can still be reached, and confirms; 2 does each of these steps on all devices
before the next step, and takes everything back if one of them fails.
"""

import time
from collections.abc import Callable, Sequence

from nornir.core import Nornir
from nornir.core.inventory import Host, Hosts, Inventory
from nornir.core.state import GlobalState
from nornir.core.task import Result, Task

from cnaasjobs.conf import conf
from cnaasjobs.secrecy import Secrets
from devices.drivers import ssh_config_file
from devices.inventory.configuration import workers
from devices.rendering import refresh
from devices.sync.device import Device
from devices.sync.one_device import DeviceSync, Options
from devices.sync.patience import Patience
from devices.sync.report import DeviceReport
from devices.sync.runner import DeviceThreads
from devices.sync.state import DeviceStates
from devices.sync.words import Words
from jobs.errors import JobStopped, LockLost
from jobs.task import JobContext


class Push:
    """All devices of one job."""

    def __init__(self, ctx: JobContext, nornir: Nornir, hosts: Sequence[Host], options: Options) -> None:
        self._ctx = ctx
        self._options = options
        secrets = Secrets.from_environment()
        refresh(devices=len(hosts))
        ssh_config = ssh_config_file(nornir.config)
        self._patience = Patience(conf.device_seconds)
        self._stopped: JobStopped | None = None
        self._failed: list[str] = []  # in confirm_mode 2
        self._over: set[str] = set()
        self._states = DeviceStates(ctx, [host.name for host in hosts])
        self._syncs = {
            host.name: DeviceSync(
                host,
                device=Device(host, ssh_config, words, ctx, self._patience),
                states=self._states,
                options=options,
                secrets=secrets,
                words=words,
                wanted=ctx.checkpoint,
            )
            for host in hosts
            for words in [Words(host, ctx.job_id)]
        }
        # This job's own Nornir object: the cached one would remember the failed hosts of earlier jobs.
        self._nornir = Nornir(
            inventory=Inventory(
                hosts=Hosts({host.name: host for host in hosts}),
                groups=nornir.inventory.groups,
                defaults=nornir.inventory.defaults,
            ),
            config=nornir.config,
            data=GlobalState(dry_run=options.dry_run),
            runner=DeviceThreads(
                num_workers=workers(nornir.config), ctx=ctx, patience=self._patience, hangs=self._hangs
            ),
        )

    def run(self) -> None:
        """Afterwards ``reports`` has one for each device. When it returns or raises, no thread is left.

        Raises:
            JobStopped: the job may not go on; devices that had not begun were not touched.
        """
        try:
            if self._options.confirm_mode == 2 and not self._options.dry_run:
                self._all_or_none()
            else:
                self._each(self._one_after_the_other)
        finally:
            self._states.close()

    @property
    def reports(self) -> dict[str, DeviceReport]:
        """By device, in their order."""
        return {name: sync.report for name, sync in self._syncs.items()}

    def reports_until(self, end: BaseException) -> dict[str, DeviceReport]:
        """What is known about each device that had begun, if the job ended before all were done."""
        for name, sync in self._syncs.items():
            if not sync.report.is_empty and not sync.report.failed and name not in self._over:
                sync.report.failure = f"{sync.became}: {sync.words.of(end)}"
        return {name: report for name, report in self.reports.items() if not report.is_empty}

    # --- confirm_mode 0 and 1, dry runs -------------------------------------------------------------------------------

    def _one_after_the_other(self, sync: DeviceSync) -> None:
        try:
            self._ctx.checkpoint()
            sync.attempt(sync.find_changes)
            if sync.to_commit:
                self._attempt_commit(sync)
            if sync.pending:
                self._ctx.checkpoint()
                if not sync.report.failed:
                    sync.attempt(sync.confirm)
                self._take_back(sync)
        except JobStopped:
            self._take_back(sync)
            raise
        finally:
            sync.close()
        self._is_over(sync)

    # --- confirm_mode 2 -----------------------------------------------------------------------------------------------

    def _all_or_none(self) -> None:
        try:
            self._each(self._find_changes)
            if not self._failed:
                self._commit_all()
            self._ctx.checkpoint()
            if self._failed:
                self._in_threads(self._take_back)
                self._in_threads(self._not_committed)
            else:
                self._each(self._confirm, even_if_stopping=True)
        except BaseException:  # a soft time limit too
            self._in_threads(self._take_back)
            raise
        finally:
            if any(sync.is_open for sync in self._syncs.values()):
                self._in_threads(DeviceSync.close)

    def _commit_all(self) -> None:
        started = time.monotonic()
        self._each(self._commit)
        if time.monotonic() - started > self._options.revert_in / 2:
            self._failed.append("the time the commits took (the first may revert before the last is confirmed)")

    def _find_changes(self, sync: DeviceSync) -> None:
        self._ctx.checkpoint()
        self._note(sync, succeeded=sync.attempt(sync.find_changes))
        if not sync.to_commit:
            sync.close()
            self._is_over(sync)

    def _commit(self, sync: DeviceSync) -> None:
        if sync.to_commit and not self._failed:
            self._note(sync, succeeded=self._attempt_commit(sync))

    def _confirm(self, sync: DeviceSync) -> None:
        if not sync.pending:
            return
        try:
            self._ctx.checkpoint()
        except LockLost:
            raise
        except JobStopped as stopped:  # some are confirmed: better confirm the rest, as long as the lock is ours
            if not self._ctx.holds_lock():
                raise
            self._stopped = stopped
        sync.attempt(sync.confirm)
        self._take_back(sync)
        sync.close()
        self._is_over(sync)

    def _not_committed(self, sync: DeviceSync) -> None:
        if sync.to_commit:
            reason = f"{sync.became} because of {', '.join(self._failed[:3])}: confirm_mode 2 is all devices or none"
            sync.report.failure = sync.report.failure or reason
            sync.close()
            self._is_over(sync)

    def _hangs(self, host: Host, step: str) -> None:
        sync = self._syncs[host.name]
        self._note(sync, succeeded=sync.give_up(step, seconds=self._patience.seconds))
        self._is_over(sync)

    def _note(self, sync: DeviceSync, *, succeeded: bool) -> None:
        if not succeeded:
            self._failed.append(sync.host.name)

    # --- both ---------------------------------------------------------------------------------------------------------

    def _attempt_commit(self, sync: DeviceSync) -> bool:
        self._states.about_to_commit(sync.host.name)
        return sync.attempt(sync.commit)

    def _take_back(self, sync: DeviceSync) -> None:
        """Only while the lock is certainly ours.

        Otherwise another job may be using the device; its timer reverts our commit.
        """
        if sync.pending and self._ctx.holds_lock():
            sync.take_back()

    def _is_over(self, sync: DeviceSync) -> None:
        self._over.add(sync.host.name)
        self._ctx.device_finished(sync.host.name)

    def _each(self, step: Callable[[DeviceSync], None], *, even_if_stopping: bool = False) -> None:
        """Do a step on every device; raises JobStopped if any of them raised it."""

        def unless_stopping(sync: DeviceSync) -> None:
            if even_if_stopping or not self._ctx.stopping:
                step(sync)

        self._in_threads(unless_stopping)
        if self._stopped is not None:
            raise self._stopped
        if self._ctx.stopping:
            self._ctx.checkpoint()

    def _in_threads(self, step: Callable[[DeviceSync], None]) -> None:
        """No exception of one device leaves its thread: it is that device's failure, or stops all of them."""

        def sync_device(task: Task) -> Result:
            sync = self._syncs[task.host.name]
            try:
                step(sync)
            except JobStopped as stopped:
                self._stopped = stopped
            except BaseException as exc:  # noqa: BLE001  (any fault, outside of the steps that are attempted)
                sync.failed(exc)
                if sync.pending:
                    sync.report.failure = f"{sync.report.failure}; {sync.became}"
                self._note(sync, succeeded=False)
                self._is_over(sync)
            return Result(host=task.host)

        self._nornir.run(task=sync_device)
