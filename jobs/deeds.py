"""What the audit trail tells of. Imports nothing of the project."""

from enum import StrEnum


class Deed(StrEnum):
    """As stored, at most 16 letters."""

    SCHEDULED = "scheduled"
    ABORTED = "aborted"
    CLEARED = "cleared"  # a lock
    WITHDRAWN = "withdrawn"  # a job whose request was answered with an error
    REFUSED = "refused"  # somebody asked for what he has no right to
    LOGGED_IN = "logged in"
    LOGIN_FAILED = "login failed"
    MADE = "made"  # a token, schedule, user or group
    CHANGED = "changed"
    DELETED = "deleted"
