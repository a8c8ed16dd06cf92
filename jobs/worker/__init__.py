"""The worker process: its requests, window, heartbeat, time limits, shutdown. ``install`` connects it to Celery.

Celery's worker is a main process, which talks to the broker, and a pool of children, which run bodies. A child reports
the ends of its bodies itself (``jobs.signals``); ends that it cannot report are reported from here (``ends``). This
package is imported before Django's models exist, so modules that need models are given by name, or imported when a
worker starts.
"""

import gc
import logging
import warnings
from typing import Any, Final
from uuid import uuid4

from billiard.util import get_logger
from celery import Celery, signals
from celery.exceptions import SecurityWarning

from cnaasjobs.events import record
from jobs.actions import JobAction
from jobs.body import cells, posix_signals, stray
from jobs.worker import processes

_DELAYED_DELIVERY: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


def install(app: Celery) -> None:
    """Call once, where the Celery application is made. Does nothing until a worker starts."""
    app.steps["worker"].add("jobs.worker.supervision:Supervision")
    app.steps["consumer"].update(["jobs.worker.gate:GateStep", "jobs.worker.window:WindowStep"])
    signals.setup_logging.connect(_logging_is_set_up, dispatch_uid="jobs.worker.logging")
    signals.celeryd_init.connect(_before_start, dispatch_uid="jobs.worker.before_start")
    signals.worker_init.connect(_before_fork, dispatch_uid="jobs.worker.before_fork")
    signals.worker_process_init.connect(_in_child, dispatch_uid="jobs.worker.in_child")
    # Connected before jobs.signals: a child must announce that it has the run before it claims it.
    signals.task_prerun.connect(_task_begins, dispatch_uid="jobs.worker.task_begins")
    signals.task_postrun.connect(_task_ends, dispatch_uid="jobs.worker.task_ends")


def _logging_is_set_up(**_: Any) -> None:
    """Django did it (``settings.LOGGING``). Because of this receiver Celery adds no handlers of its own."""
    billiard = get_logger()  # the pool's logger, which would have no handler of its own
    billiard.propagate = True
    billiard.setLevel(logging.WARNING)


def _before_start(instance: Any, **_: Any) -> None:
    # Workers know about each other through the database. So this is as if started with --without-gossip,
    # --without-mingle and --without-heartbeat (Celery's event, not AMQP's): they start a second faster, do not each
    # send every other worker a message every two seconds, and need no second connection to the broker for that.
    prepare = instance.prepare_args
    without = dict.fromkeys(("without_gossip", "without_mingle", "without_heartbeat"), True)
    instance.prepare_args = lambda **options: {**prepare(**options), **without}
    # For quorum queues Celery declares 28 further queues, for messages with an eta, and warns that ours can't have an
    # eta. Jobs that are due later wait in the database.
    from celery.worker.consumer import Consumer

    steps = Consumer.Blueprint.default_steps
    Consumer.Blueprint.default_steps = [step for step in steps if step != _DELAYED_DELIVERY]
    # Celery warns about running as root because of pickle, which we do not accept. Containers run as root.
    warnings.filterwarnings("ignore", category=SecurityWarning)


def _before_fork(sender: Any, **_: Any) -> None:
    from jobs.worker import connections, remote_control, unacknowledged, unreadable

    remote_control.restrict()
    unacknowledged.install()
    unreadable.install()
    cells.allocate()
    processes.remember_main()
    connections.install(sender.app)
    gc.collect()
    gc.freeze()


def _in_child(**_: Any) -> None:
    # What is loaded by now stays, including what apps loaded in the main process after us. Searching it for garbage
    # would take a tenth of a second each time, and write to every page that is shared with the main process.
    gc.freeze()
    processes.become_child()
    stray.install()


def _task_begins(task: Any, **_: Any) -> None:
    request = task.request
    if getattr(request, "cell", None) is None:
        return
    if processes.is_child():
        posix_signals.install()
    if not cells.taken(request):
        request.run_token = str(uuid4())  # a new one: the other child's must not be granted a claim twice
        request.cell = None


def _task_ends(task: Any, **_: Any) -> None:
    cells.done(task.request)
    execution = getattr(task.request, "job", None)
    if execution is not None and execution.ctx.abandoned and processes.is_child():
        record(JobAction.RETIRE, job_id=execution.run.job_id, threads=len(execution.ctx.abandoned))
        raise SystemExit("threads of the job hang")  # billiard reports it as the task's exception, and the process ends
