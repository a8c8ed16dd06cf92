"""Django's sessions in the database, read by a statement that is planned once: every page of the console needs one."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session

from cnaasjobs.db.accounts import session_data


class SessionStore(DatabaseStore):
    """What Django's setting SESSION_ENGINE names."""

    def _validate_session_key(self, key: str | None) -> bool:
        """A cookie in quotes may hold a NUL, written as \\000, which PostgreSQL refuses to look for."""
        is_key: bool = super()._validate_session_key(key)  # type: ignore[misc]
        return is_key and "\0" not in (key or "")

    def _get_session_from_db(self) -> Session | None:
        key = self.session_key or ""
        data = session_data(key)
        if data is None:
            self._session_key = None  # as Django does: the next session gets a new key
            return None
        return Session(session_key=key, session_data=data)
