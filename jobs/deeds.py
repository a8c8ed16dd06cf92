"""The actions that the audit trail records. Imports nothing of the project."""

from enum import StrEnum


class Deed(StrEnum):
    """As stored, at most 16 letters."""

    SCHEDULED = "scheduled"
    ABORTED = "aborted"
    APPROVED = "approved"  # a job that was waiting for a second person
    REJECTED = "rejected"
    CLEARED = "cleared"  # a lock
    WITHDRAWN = "withdrawn"  # a job whose request was answered with an error was taken back
    REFUSED = "refused"  # somebody asked for something that they have no permission for
    LOGGED_IN = "logged in"
    LOGIN_FAILED = "login failed"
    MADE = "made"  # a token, schedule, user or group
    CHANGED = "changed"
    DELETED = "deleted"
