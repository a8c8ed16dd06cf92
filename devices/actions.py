"""What can happen to a device during a sync. Each action is explained in docs/log-events.md.

``reason`` and ``trace`` are masked: they contain no secret of the templates and no password of a device.
"""

from logging import DEBUG, ERROR, INFO, WARNING

from cnaasjobs.events import Action


class DeviceAction(Action):
    DEVICE_SEEN = "device_seen", INFO, "%(host)s: %(what)s", "job_id"
    DEVICE_FAILED = "device_failed", ERROR, "%(host)s: %(reason)s", "job_id trace"
    ROLLBACK_FAILED = "rollback_failed", WARNING, "%(host)s: %(reason)s", "job_id trace"
    CONFIG_UNREAD = "config_unread", WARNING, "%(host)s: %(reason)s", "job_id trace"
    PENDING_UNKNOWN = "pending_unknown", DEBUG, "%(host)s: %(reason)s", "job_id trace"
    CLOSE_FAILED = "close_failed", DEBUG, "%(host)s: %(reason)s", "job_id trace"
    STATES_WAIT = "states_wait", WARNING, "the device states of job %(job_id)s wait for the database: %(error)s"
    STATES_LEFT = "states_left", WARNING, "device states of job %(job_id)s left to the lock's next holder: %(error)s"
    STATES_FAILED = "states_failed", WARNING, "device states of job %(job_id)s not stored: %(error)s"
