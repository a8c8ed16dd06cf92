"""Django's sessions in the database, read by a statement that is planned once: every page of the console needs one."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session

from cnaasjobs.db.accounts import session_data


class SessionStore(DatabaseStore):
    """What Django's setting SESSION_ENGINE names."""

    def _get_session_from_db(self) -> Session | None:
        key = self.session_key or ""
        data = session_data(key)
        if data is None:
            self._session_key = None  # as Django does: the next session gets a new key
            return None
        return Session(session_key=key, session_data=data)
