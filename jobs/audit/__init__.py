"""Who did what: the audit trail, written in the transaction of what it tells."""
