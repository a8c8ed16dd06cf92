"""How Nornir runs our tasks: a runner plugin with threads that are all over when it returns, whatever happens."""

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from nornir.core.inventory import Host
from nornir.core.task import AggregatedResult, Task

from jobs.errors import JobStopped
from jobs.task import JobContext


class DeviceThreads:
    """Runs a task on each host, ``num_workers`` at a time, in the order of the hosts."""

    def __init__(self, *, num_workers: int, ctx: JobContext) -> None:
        self.num_workers = num_workers
        self._ctx = ctx

    def run(self, task: Task, hosts: list[Host]) -> AggregatedResult:
        pool = ThreadPoolExecutor(max_workers=min(self.num_workers, max(len(hosts), 1)), thread_name_prefix="device")
        try:
            futures = [pool.submit(task.copy().start, host) for host in hosts]
            wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException as exc:  # a soft time limit, or the process is told to end: no device is begun after this
            self._ctx.stop(JobStopped(f"the job is ending: {type(exc).__name__}"))
            raise
        finally:
            _join(pool)
        result = AggregatedResult(task.name)
        for host, future in zip(hosts, futures, strict=True):
            result[host.name] = future.result()
        return result


def _join(pool: ThreadPoolExecutor) -> None:
    """Wait for every thread, and don't let a signal cut that short: what it raises is raised afterwards."""
    interrupted: BaseException | None = None
    while True:
        try:
            pool.shutdown(wait=True, cancel_futures=True)
        except BaseException as exc:  # noqa: BLE001  (whatever a signal handler raises; it is raised below)
            interrupted = exc
            continue
        break
    if interrupted is not None:
        raise interrupted
