"""What the handlers of this API answer, for the API's description."""

from typing import Final

from cnaasjobs.api.description import (
    JSON,
    NULLABLE_TEXT,
    NULLABLE_TIME,
    NUMBER,
    PLAIN,
    TEXT,
    TIME,
    Described,
    Parameter,
    Schema,
    component,
    exactly,
    list_of,
)
from jobs.states import JobDeviceState, Status
from jobs.waiting.reasons import Holds

_NULLABLE_NUMBER: Final[Schema] = {"type": ["integer", "null"]}
_SCORE: Final[Schema] = {"type": ["integer", "null"], "minimum": 0, "maximum": 100}
_STATUS: Final[Schema] = {"type": "string", "enum": list(Status)}
YES_NO: Final[Schema] = {"type": "boolean"}

_EXCEPTION = component(
    "Exception",
    exactly(
        {
            "message": TEXT,
            "type": TEXT,
            "args": {"type": "array", "minItems": 1, "items": TEXT, "description": "The first one is the reason."},
            "traceback": NULLABLE_TEXT,
        }
    ),
)
OF_A_JOB: Final[dict[str, Schema]] = {
    "id": NUMBER,
    "status": _STATUS,
    "scheduled_time": {**TIME, "description": "When it is due; after a retry the new due time. UTC"},
    "start_time": NULLABLE_TIME,
    "finish_time": NULLABLE_TIME,
    "function_name": {"type": "string", "description": 'A dry run\'s ends in " (dry_run)".'},
    "scheduled_by": NULLABLE_TEXT,
    "comment": {"type": ["string", "null"], "maxLength": 255},
    "ticket_ref": {"type": ["string", "null"], "maxLength": 32},
    "next_job_id": {**_NULLABLE_NUMBER, "description": "The job that this one scheduled when it finished."},
    "result": {"type": ["object", "array", "string", "null"], "items": {}},
    "exception": {"oneOf": [{"type": "null"}, _EXCEPTION]},
    "finished_devices": {"type": ["array", "null"], "items": TEXT, "description": "Null until it starts."},
    "change_score": _SCORE,
    "start_arguments": {"type": "object"},
}
JOB = component("Job", exactly(OF_A_JOB))
_OF_A_DEVICE: Final[dict[str, Schema]] = {
    "hostname": TEXT,
    "state": {"type": "string", "enum": list(JobDeviceState)},
    "failed": YES_NO,
    "reason": NULLABLE_TEXT,
    "change_score": _SCORE,
    "worker": NULLABLE_TEXT,
    "step": NULLABLE_TEXT,
    "start_time": NULLABLE_TIME,
    "finish_time": NULLABLE_TIME,
    "report": {"description": "What the job's result says about the device."},
}
_DEVICE = component("JobDevice", exactly(_OF_A_DEVICE, optional=["report"]))
_JOB_OF_DEVICE = component(
    "DeviceJob",
    exactly(
        {
            "job_id": NUMBER,
            "function_name": TEXT,
            "status": _STATUS,
            "scheduled_by": NULLABLE_TEXT,
            "ticket_ref": NULLABLE_TEXT,
            **{name: schema for name, schema in _OF_A_DEVICE.items() if name != "report"},
        }
    ),
)
_IN_LINE: Final[dict[str, Schema]] = {
    "job_id": NUMBER,
    "function_name": {**NULLABLE_TEXT, "description": "Null if that job no longer exists."},
    "scheduled_by": NULLABLE_TEXT,
    "since": TIME,
}
PROGRESS: Final = exactly({"done": NUMBER, "total": _NULLABLE_NUMBER, "failed": _NULLABLE_NUMBER})
_HOLDER: Final[Schema] = {
    "oneOf": [
        {"type": "null"},
        exactly({**_IN_LINE, "abort": YES_NO, "devices": {"oneOf": [{"type": "null"}, PROGRESS]}}),
    ]
}
REASON = component(
    "Reason",
    exactly(
        {
            "holds": {"type": "string", "enum": list(Holds)},
            "text": {"type": "string", "description": "A readable sentence."},
            "since": NULLABLE_TIME,
            "until": TIME,
            "why": {"type": "string", "description": "Why it needs approval."},
            "lock": TEXT,
            "place": {**_NULLABLE_NUMBER, "description": "1 is next; null behind 1,000."},
            "holder": _HOLDER,
            "ahead": list_of(exactly(_IN_LINE)),
            "queue": TEXT,
            "workers": NUMBER,
            "slots": NUMBER,
            "busy": NUMBER,
            "waiting": {**NUMBER, "description": "Jobs on that queue, counted up to 1,000."},
            "sent": NULLABLE_TIME,
            "last_worker": NULLABLE_TEXT,
            "task": TEXT,
            "last_beat": NULLABLE_TEXT,
        },
        optional=[
            *("until", "lock", "place", "holder", "ahead", "queue", "workers", "slots", "busy", "waiting", "sent"),
            *("why", "last_worker", "task", "last_beat"),
        ],
    ),
)
LINE = component(
    "Lock",
    exactly({"name": TEXT, "holder": _HOLDER, "waiting": NUMBER, "line": list_of(exactly(_IN_LINE))}),
)
LOG_LINE = component(
    "LogLine", exactly({"time": TEXT, "level": TEXT, "module": TEXT, "device": NULLABLE_TEXT, "text": TEXT})
)

_LEFT_OUT = Parameter(name="filter_jobresult", description="Parts to leave out of sync results: `config`, `diff`.")
_REPORTS = Parameter(name="report", description="1: with the reports.", schema={"type": "string", "enum": ["0", "1"]})

JOBS = {
    "list": Described(summary="The jobs", answer=exactly({"jobs": list_of(JOB)}), pages=True, parameters=(_LEFT_OUT,)),
    "retrieve": Described(summary="One job", answer=exactly({"jobs": list_of(JOB)}), parameters=(_LEFT_OUT,)),
    "act": Described(
        summary="End a waiting job, tell a running one to stop; approve or reject one that waits for a second person",
        answer=exactly({"jobs": list_of(JOB)}),
        body=exactly(
            {
                "action": {"type": "string", "examples": ["ABORT", "APPROVE", "REJECT"]},
                "abort_reason": NULLABLE_TEXT,
                "comment": NULLABLE_TEXT,
            },
            optional=["abort_reason", "comment"],
        ),
    ),
}
JOB_DEVICES = {
    "list": Described(
        summary="The devices of a job, while it runs and afterwards",
        answer=exactly({"devices": list_of(_DEVICE)}),
        pages=True,
        parameters=(_REPORTS,),
    ),
    "retrieve": Described(summary="A device of a job, with its report", answer=exactly({"devices": list_of(_DEVICE)})),
}
DEVICE_JOBS = {
    "list": Described(
        summary="The jobs that included this device", answer=exactly({"jobs": list_of(_JOB_OF_DEVICE)}), pages=True
    )
}
JOB_LOG = {
    "list": Described(
        summary="What the job's code logged",
        answer=exactly({"log": list_of(LOG_LINE)}),
        pages=True,
        media=(JSON, PLAIN),
        parameters=(
            Parameter(name="level", description="That level and above, such as WARNING."),
            Parameter(name="device", description="Lines of one device."),
            Parameter(name="text", description="Lines that contain this text, ignoring case."),
        ),
    )
}
WAITING = {
    "retrieve": Described(
        summary="Everything that a waiting job waits for",
        answer=exactly({"job_id": NUMBER, "status": _STATUS, "waiting": list_of(REASON)}),
    )
}
LINES = {
    "list": Described(
        summary="Each lock that is held or waited for, with its line", answer=exactly({"locks": list_of(LINE)})
    )
}
PERMISSIONS = {
    "list": Described(
        summary="What the user may do, as existing front ends expect it",
        answer=list_of(exactly({"pages": list_of(TEXT), "rights": list_of(TEXT)})),
        bare=True,
    )
}
VERSION = {"retrieve": Described(summary="The version", answer=exactly({"version": TEXT, "git_version": TEXT}))}
