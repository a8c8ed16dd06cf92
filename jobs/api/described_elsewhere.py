"""Describes URLs that no view of the API answers: live events (another process does) and health (a middleware)."""

from typing import Any, Final

from cnaasjobs.api.description import JSON, NUMBER, TEXT, Schema, component, elsewhere, exactly, list_of
from jobs.api.described import LINE, LOG_LINE, OF_A_JOB, PROGRESS, REASON, YES_NO

_POSITION: Final = component("Position", exactly({"position": {**TEXT, "description": "For `after`."}}))
_LEFT_OUT: Final = ("result", "finished_devices", "start_arguments")
EVENTS: Final = {
    "job": component(
        "JobEvent",
        exactly(
            {
                **{name: schema for name, schema in OF_A_JOB.items() if name not in _LEFT_OUT},
                "exception": {"oneOf": [{"type": "null"}, exactly({"type": TEXT, "message": TEXT})]},
                "abort": {**YES_NO, "description": "It was asked to stop."},
                "devices": {"oneOf": [{"type": "null"}, PROGRESS], "description": "Of one that runs."},
                "waiting": {**list_of(REASON), "description": "What holds one that waits."},
            }
        ),
    ),
    "lock": LINE,
    "log": component("LogEvent", exactly({"job_id": NUMBER, "lines": list_of(LOG_LINE)})),
    "position": _POSITION,
    "reset": _POSITION,
}
_NAMED: Final = ", ".join(f"`{name}` ({schema['$ref'].rpartition('/')[2]})" for name, schema in EVENTS.items())


def _parameter(name: str, words: str, *, place: str = "query", schema: Schema = TEXT) -> dict[str, Any]:
    return {"in": place, "name": name, "description": words, "schema": dict(schema)}


def _success(media: str, schema: Schema, words: str = "Success") -> dict[str, Any]:
    return {"content": {media: {"schema": dict(schema)}}, "description": words}


elsewhere(
    "/api/v1.0/events",
    {
        "operationId": "get_events",
        "summary": "Live events, as they are committed",
        "description": f"Server-Sent Events; what stands in the data of each is a component: {_NAMED}. "
        "Permission: `jobs.view_job` or `locks.view_lock`",
        "tags": ["events"],
        "security": [{"token": []}],
        "parameters": [
            _parameter("job", "Of one job only."),
            _parameter("kind", "`job`, `lock`, `log`, with commas between them: only these."),
            _parameter("after", "A position: what came after it is told first."),
            _parameter("Last-Event-ID", "The same, as browsers send it; it comes before `after`.", place="header"),
        ],
        "responses": {"200": _success("text/event-stream", TEXT)},
    },
)
elsewhere(
    "/healthz",
    {
        "operationId": "get_healthz",
        "summary": "Whether this process lives",
        "tags": ["health"],
        "responses": {
            "200": _success(JSON, exactly({"status": {"const": "success"}, "data": exactly({"process": TEXT})}))
        },
    },
)
_STATES: Final = exactly(dict.fromkeys(("database", "broker", "worker", "beat"), TEXT))
elsewhere(
    "/readyz",
    {
        "operationId": "get_readyz",
        "summary": "Database, broker, a live worker, a live Beat",
        "tags": ["health"],
        "responses": {
            "200": _success(JSON, exactly({"status": {"const": "success"}, "data": _STATES})),
            "503": _success(
                JSON, exactly({"status": {"const": "error"}, "message": TEXT, "data": _STATES}), "One is missing"
            ),
        },
    },
)
