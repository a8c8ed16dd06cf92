"""What the handlers of this API take and answer, for the API's description."""

from cnaasjobs.api.description import (
    NULLABLE_TEXT,
    NUMBER,
    TEXT,
    Described,
    Parameter,
    component,
    exactly,
    list_of,
)
from devices.api.sync_request import SyncBody

_DEVICE = component(
    "Device",
    exactly(
        {
            "id": {"type": "integer", "description": "Derived from the name, for clients that need a number."},
            "hostname": TEXT,
            "device_type": {"type": "string", "description": "ACCESS, DIST, CORE, or empty."},
            "platform": NULLABLE_TEXT,
            "state": {"const": "MANAGED"},
            "synchronized": {
                "type": "boolean",
                "description": "Whether what was committed last is what it would get now; false if unknown.",
            },
        }
    ),
)
_EVENT = exactly({"cause": TEXT, "by": NULLABLE_TEXT, "timestamp": {"type": "number", "description": "Since 1970."}})
_GROUPS = exactly({"groups": {"type": "object", "additionalProperties": list_of(TEXT)}})

SYNCTO = {
    "create": Described(
        summary="Synchronise devices",
        answer=TEXT,
        beside={"job_id": NUMBER},
        body=component("SyncRequest", SyncBody.model_json_schema()),
        headers={"X-Total-Count": "The number of selected devices."},
        asked_headers=(
            Parameter(
                name="Idempotency-Key",
                description="The same key and body within 24 hours return the first job; another body is answered 409.",
            ),
        ),
    )
}
DEVICES = {
    "list": Described(summary="The inventory's devices", answer=exactly({"devices": list_of(_DEVICE)}), pages=True),
    "retrieve": Described(summary="One device", answer=exactly({"devices": list_of(_DEVICE)})),
}
GROUPS = {
    "list": Described(summary="The inventory's groups with their devices", answer=_GROUPS),
    "retrieve": Described(summary="One group", answer=_GROUPS),
}
MANAGEMENT_DOMAINS = {
    "list": Described(
        summary="Always empty: a Nornir inventory has no management domains",
        answer=exactly({"mgmtdomains": {"type": "array", "items": {}, "maxItems": 0}}),
    )
}
SYNC_HISTORY = {
    "list": Described(
        summary="The last live syncs that changed each device, the newest last",
        answer=exactly({"hostnames": {"type": "object", "additionalProperties": {**list_of(_EVENT), "maxItems": 10}}}),
        parameters=(Parameter(name="hostname", description="Only this device's."),),
    )
}
REPOSITORY = {
    "retrieve": Described(summary="The current commit of the inventory (settings) or the templates", answer=TEXT),
    "refresh": Described(
        summary="Reread it; nothing is pulled",
        answer=TEXT,
        body=exactly({"action": {"type": "string", "examples": ["REFRESH"]}}),
    ),
}
SERVER_SETTINGS = {
    "retrieve": Described(
        summary="Settings that front ends need",
        answer=exactly({"api": exactly({"COMMIT_CONFIRMED_MODE": {"type": "integer", "minimum": 0, "maximum": 2}})}),
        bare=True,
    )
}
