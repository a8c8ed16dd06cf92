"""What can happen to identities. Each action is explained in docs/log-events.md."""

from logging import INFO, WARNING

from cnaasjobs.events import Action


class IdentityAction(Action):
    KEYS_READ = "keys_read", INFO, "the identity provider's keys were read: %(keys)d"
    KEYS_UNREAD = "keys_unread", WARNING, "the identity provider's keys can't be read: %(error)s"
    GROUP_MISSING = "group_missing", WARNING, "CNAASJOBS_JWT_GROUPS names the group %(group)s, which does not exist"
    SIGN_IN_FAILED = "sign_in_failed", WARNING, "a sign-in by the identity provider failed: %(error)s"
