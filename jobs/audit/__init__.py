"""Who did what: the audit trail. Each entry is written in the transaction of the change that it tells of."""
