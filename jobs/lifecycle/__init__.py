"""The one writer of a job's status (``transitions``), and locks' view of the jobs that hold them."""
