"""Which transactions may still insert a job with an id that was taken before."""

from typing import Final

from jobs.sql.execute import rows

# backend_xmin: a statement that has taken its id from the sequence, but no transaction number yet, has a snapshot.
# Numbers wrap at 32 bits; age() compares them as PostgreSQL does.
_ENDED: Final = """
    SELECT NOT EXISTS (
        SELECT 1 FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            AND greatest(age(backend_xid), age(backend_xmin)) >= age((%s %% 4294967296)::bigint::text::xid)
    )
"""


def transaction_number() -> int | None:
    return int(rows("SELECT pg_current_xact_id()::text::bigint")[0][0])


def all_before_have_ended(number: int | None) -> bool:
    return number is None or bool(rows(_ENDED, [number])[0][0])
