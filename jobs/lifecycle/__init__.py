"""The one writer of a job's status (``transitions``), locks' view of the jobs that hold them, the audit trail."""
