"""How Nornir runs our tasks: a runner plugin whose threads have ended, or were given up, when it returns."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, wait

from nornir.core.inventory import Host
from nornir.core.task import AggregatedResult, MultiResult, Task

from devices.sync.patience import LOOK_SECONDS, Patience
from jobs.body.job_log import of_device
from jobs.errors import JobStopped
from jobs.task import JobContext


class DeviceThreads:
    """Runs a task on each host, ``num_workers`` at a time, in the order of the hosts.

    ``hangs`` is called with a host whose thread was given up, and the step it hangs in. Another thread takes its place.
    """

    def __init__(
        self, *, num_workers: int, ctx: JobContext, patience: Patience, hangs: Callable[[Host, str], None]
    ) -> None:
        self.num_workers = num_workers
        self._ctx = ctx
        self._patience = patience
        self._hangs = hangs

    def run(self, task: Task, hosts: list[Host]) -> AggregatedResult:
        crew = _Crew(task, hosts)
        try:
            crew.start(self.num_workers)
            while not crew.is_over:
                wait(crew.results, timeout=LOOK_SECONDS, return_when=FIRST_EXCEPTION)
                self._give_up(crew)
        except BaseException as exc:  # a soft time limit, or the process was told to end: no device begins after this
            self._ctx.stop(JobStopped(f"the job is ending: {type(exc).__name__}"))
            raise
        finally:
            self._join(crew)
        result = AggregatedResult(task.name)
        for host, found in zip(hosts, crew.results, strict=True):
            result[host.name] = found.result()
        return result

    def _give_up(self, crew: "_Crew") -> None:
        for thread, what in self._patience.give_up():
            self._ctx.abandon(thread)
            self._hangs(crew.replace(thread), what)

    def _join(self, crew: "_Crew") -> None:
        """Wait for every thread, and don't let a signal interrupt that: what it raises is raised afterwards."""
        interrupted: BaseException | None = None
        crew.cancel()
        while crew.threads:
            try:
                crew.join(LOOK_SECONDS)
                self._give_up(crew)
            except BaseException as exc:  # noqa: BLE001  (whatever a signal handler raises; it is raised below)
                interrupted = exc
        if interrupted is not None:
            raise interrupted


class _Crew:
    """The threads of one task."""

    def __init__(self, task: Task, hosts: list[Host]) -> None:
        self.results: list[Future[MultiResult]] = [Future() for _ in hosts]
        self.threads: list[threading.Thread] = []
        self._task = task
        self._todo = deque(zip(hosts, self.results, strict=True))
        self._doing: dict[threading.Thread, tuple[Host, Future[MultiResult]]] = {}

    @property
    def is_over(self) -> bool:
        """Whether each host has its result, or one raised a fault of ours."""
        return all(result.done() for result in self.results) or any(
            result.done() and result.exception() is not None for result in self.results
        )

    def start(self, count: int) -> None:
        for number in range(min(count, len(self._todo))):
            # A daemon thread: one that is given up must not keep the process alive.
            thread = threading.Thread(target=self._work, name=f"device-{number}", daemon=True)
            self.threads.append(thread)
            thread.start()

    def replace(self, thread: threading.Thread) -> Host:
        """It was given up, and another goes on in its place. Returns the host that it was working on."""
        host, result = self._doing.pop(thread)
        self.threads.remove(thread)
        thread.name = f"given-up-{thread.name}"
        result.set_result(MultiResult(self._task.name))
        self.start(1)
        return host

    def cancel(self) -> None:
        """Begin no further host."""
        while self._todo:
            _, result = self._todo.popleft()
            result.cancel()

    def join(self, seconds: float) -> None:
        for thread in list(self.threads):
            thread.join(seconds)
            if thread.is_alive():
                return
            self.threads.remove(thread)

    def _work(self) -> None:
        thread = threading.current_thread()
        while self._todo:
            try:
                host, result = self._doing[thread] = self._todo.popleft()
            except IndexError:  # another was faster
                return
            if not result.set_running_or_notify_cancel():
                continue
            try:
                with of_device(host.name):
                    result.set_result(self._task.copy().start(host))
            except BaseException as exc:  # noqa: BLE001  (it is raised where the result is asked for)
                result.set_exception(exc)
