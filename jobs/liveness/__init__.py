"""Is it alive? The heartbeats of workers and Beats, and the three rules to judge them by.

A heartbeat is a row whose counter its process makes grow (``heartbeat`` writes it, for both kinds). What hangs on the
answer decides which rule is asked:

- ``life``: for the eye, and for warnings. One query, by the database's clock.
- ``watched``: is there anybody, for ``/readyz``. By the counters that this process saw grow; asked again and again.
- ``lost``: may a run be taken from its worker. By what this process saw itself, on its own monotonic clock, while the
  database took its own heartbeat. Nothing weaker may end a job.
"""
