"""Which transactions may still insert a job with an id that was taken before: only the caller's own."""


def transaction_number() -> int | None:
    return None


def all_before_have_ended(number: int | None) -> bool:
    return True
