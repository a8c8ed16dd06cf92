"""What the handlers of this API answer, for the API's description."""

from cnaasjobs.api.description import NUMBER, TEXT, TIME, Described, component, exactly, list_of

_LOCK = component(
    "HeldLock", exactly({"job_id": NUMBER, "name": TEXT, "start_time": TIME, "abort": {"type": "boolean"}})
)

LOCKS = {
    "list": Described(summary="The locks that are held", answer=exactly({"locks": list_of(_LOCK)})),
    "clear": Described(
        summary="Clear a lock; its holder stops before its next device",
        answer=exactly({"name": TEXT, "status": {"const": "deleted"}}),
        body=exactly({"name": TEXT}),
    ),
}
