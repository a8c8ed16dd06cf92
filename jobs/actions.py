"""What can happen in the platform, apart from the states. Each action is explained in docs/log-events.md.

A transition is recorded by ``record_transition``: its verb is the action, and its fields are the states it leads from
and to.
"""

from logging import DEBUG, ERROR, INFO, WARNING
from typing import Any

from cnaasjobs.events import Action, record
from jobs.states import TRANSITIONS, Verb


class JobAction(Action):
    # --- a job's life: the verbs of ``jobs.states``, its beginning, and its turn in line
    SCHEDULE = "schedule", INFO, "job %(job_id)s: schedule", "from to task"
    CLAIM = "claim", INFO, "job %(job_id)s: claim", "from to worker attempt"
    AWAIT_APPROVAL = "await_approval", INFO, "job %(job_id)s: waits for approval: %(reason)s"
    APPROVE = "approve", INFO, "job %(job_id)s: approve", "from to by"
    PARK = "park", INFO, "job %(job_id)s: park", "from to lock holder"
    WAKE = "wake", INFO, "job %(job_id)s: wake", "from to lock"
    FINISH = "finish", INFO, "job %(job_id)s: finish", "from to"
    FAIL = "fail", INFO, "job %(job_id)s: fail", "from to type reason"
    RETRY = "retry", INFO, "job %(job_id)s: retry", "from to due reason"
    RERUN = "rerun", INFO, "job %(job_id)s: rerun", "from to worker"
    CANCEL = "cancel", INFO, "job %(job_id)s: cancel", "from to type reason"
    REQUEST_ABORT = "request_abort", INFO, "job %(job_id)s: request_abort", "from to reason"
    REFUSE = "refuse", INFO, "job %(job_id)s: not claimed: %(reason)s"

    # --- scheduling
    PUBLISH_FAILED = "publish_failed", WARNING, "broker unavailable, Beat sends %(messages)d messages: %(error)s"
    COMMIT_LOST = "commit_lost", WARNING, "the outcome of the commit of job %(job_id)s is unknown"
    WITHDRAW = "withdraw", WARNING, "job %(job_id)s, whose request was answered 503, %(reason)s", "outcome"
    WITHDRAW_FAILED = "withdraw_failed", ERROR, "whether job %(job_id)s was stored could not be found out"
    AFTER_COMMIT_FAILED = "after_commit_failed", ERROR, "the database was lost after a commit", "job_id"
    RESULT_VIEW_FAILED = "result_view_failed", ERROR, "the view of results of %(task)s failed"
    AUTHORS_CODE_FAILED = "authors_code_failed", ERROR, "%(code)s failed"
    READYZ_FAILED = "readyz_failed", ERROR, "readyz: the check of the %(check)s failed"

    # --- the broker
    QUEUE_AS_IT_IS = (
        "queue_as_it_is",
        WARNING,
        (
            "queue %(queue)s is used as it is, which is not as it would be declared (%(refusal)s). To move it, once all"
            " processes run this version: rabbitmqctl delete_queue %(queue)s; workers then declare it again,"
            " and waiting jobs are sent again"
        ),
    )

    ROLE_GIVEN = "role_given", INFO, "role %(role)s: its group was given %(permissions)s"

    # --- workers
    REFUSE_MESSAGE = "refuse_message", ERROR, "a message was refused: %(reason)s", "messages"
    STORE_WAITS = "store_waits", WARNING, "%(what)s of job %(job_id)s waits %(seconds).0f s for the database: %(error)s"
    LEFT_OPEN = "left_open", ERROR, "a database transaction was left open and is rolled back, before task %(task)s"
    RESULT_REFUSED = "result_refused", ERROR, "job %(job_id)s: its result could not be stored"
    KEPT_LOST = "kept_lost", ERROR, "job %(job_id)s: the result kept for a failure could not be stored"
    PROGRESS_FAILED = "progress_failed", WARNING, "progress not written: %(error)s"
    ANSWER_LATE = (
        "answer_late",
        WARNING,
        "job %(job_id)s: the database's answer took %(seconds)s s, too long to trust; it is asked again",
    )
    CHECKPOINT_WAITS = "checkpoint_waits", WARNING, "checkpoint of job %(job_id)s waits for the database: %(error)s"
    DEVICE_FAILED = "job_device_failed", WARNING, "job %(job_id)s: device %(host)s failed"
    BEFOREHAND_FAILED = "beforehand_failed", WARNING, "job %(job_id)s: preparing several of its devices failed"
    THREAD_FAILED = "thread_failed", ERROR, "an exception ended thread %(thread_name)s"
    DEVICES_WAIT = "devices_wait", WARNING, "the devices of job %(job_id)s wait for the database: %(error)s"
    JOIN = "join", INFO, "job %(job_id)s: %(worker)s helps", "participant"
    NOT_JOINED = "not_joined", INFO, "job %(job_id)s: needs no help: %(reason)s"
    INVITE = "invite", INFO, "job %(job_id)s: %(count)d idle processes are asked to help with its devices"
    MAKES_ROOM = "makes_room", INFO, "job %(job_id)s: %(worker)s takes no more of its devices: %(why)s"
    LEAVE = "leave", INFO, "job %(job_id)s: %(worker)s has left it"
    DIFFERS = (
        "differs",
        WARNING,
        "job %(job_id)s: %(worker)s has another inventory, other templates or other code, and does not help",
    )
    END_WAITS = "end_waits", WARNING, "end of job %(job_id)s waits for the database: %(error)s"
    END_FAILED = "end_failed", ERROR, "end of job %(job_id)s could not be stored, upkeep will find it"
    UNKNOWN_TASK = "unknown_task", ERROR, "task %(task)s is unknown here; its job waits to be sent again"
    HEARTBEAT_WAITS = "heartbeat_waits", WARNING, "the heartbeat waits for the database: %(error)s"
    HEARTBEAT_FAILED = "heartbeat_failed", ERROR, "heartbeat not written"
    FAREWELL_FAILED = "farewell_failed", WARNING, "end of the worker not written: %(error)s"
    SUPERVISION_FAILED = "supervision_failed", ERROR, "a check of the runs in progress failed"
    RETIRE = (
        "retire",
        WARNING,
        "job %(job_id)s left %(threads)d threads that hang: its process is replaced",
    )
    BROKER_LEFT = "broker_left", WARNING, "the connection to the broker does not close; the worker exits anyway"

    # --- Beat: recurring schedules
    FIRE = "fire", INFO, "schedule %(schedule)s: fired", "task"
    FIRED_ELSEWHERE = "fired_elsewhere", DEBUG, "schedule %(schedule)s: another Beat fired it, or it was edited", "task"
    FIRE_REFUSED = "fire_refused", ERROR, "schedule %(schedule)s: its arguments do not fit: %(error)s", "task"
    FIRE_FAILED = "fire_failed", ERROR, "schedule %(schedule)s cannot be fired", "task"
    FIRE_RETURNED = "fire_returned", WARNING, "schedule %(schedule)s: not sent, will be tried again: %(error)s", "task"
    FIRE_LOST = "fire_lost", ERROR, "schedule %(schedule)s: this fire is lost, broker and database are away", "task"
    NEVER_DUE = "never_due", ERROR, "schedule %(schedule)s is never due: %(error)s", "task"
    EXPIRE = "expire", INFO, "schedule %(schedule)s: expired", "task"
    SETTING_REFUSED = "setting_refused", ERROR, "CELERY_BEAT_SCHEDULE: %(schedule)s cannot be used"

    AUDIT_SEALED = "audit_sealed", INFO, "audit entries %(first)d to %(last)d sealed", "entries digest"

    # --- Beat: upkeep and its threads
    LOST = "lost", WARNING, "%(kind)s %(worker)s (pid %(pid)s) is gone"
    RELEASE = "release", WARNING, "lock %(lock)s freed: job %(job_id)s no longer runs"
    REPUBLISH = "republish", INFO, "job %(job_id)s: its message was lost, sent again"
    DEPTH_UNKNOWN = "depth_unknown", DEBUG, "depth of the queues unknown: %(error)s"
    UNSERVED = (
        "unserved",
        WARNING,
        "no live worker serves queue %(queue)s: %(jobs)d jobs wait, job %(job_id)s (%(function)s) since %(since)s UTC",
    )
    UPKEEP = "upkeep", INFO, "upkeep: %(step)s %(count)d"
    THREAD_FAILS = "thread_fails", ERROR, "%(who)s fails: %(error)s", "failing_seconds"
    THREAD_WORKS = "thread_works", INFO, "%(who)s works again after %(failing_seconds).0f s"


_TRANSITIONS = {
    verb: (JobAction[verb.name], {"from": source.value, "to": target.value})
    for verb, (source, target) in TRANSITIONS.items()
}


def record_transition(verb: Verb, job_id: int, **more: Any) -> None:
    action, states = _TRANSITIONS[verb]
    record(action, states, job_id=job_id, **more)
