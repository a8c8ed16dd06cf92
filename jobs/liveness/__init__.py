"""Is it alive? The heartbeats of workers and Beats, and the three rules by which they are judged.

A heartbeat is a row with a counter that its process keeps increasing (``heartbeat`` writes it, for both kinds). Which
rule applies depends on what the answer decides:

- ``life``: for display, and for warnings. One query, by the database's clock.
- ``watched``: for ``/readyz``, which asks again and again. By the counters that this process saw grow.
- ``lost``: for taking a run away from its worker. By what this process saw itself, on its own monotonic clock, while
the database accepted its own heartbeat. Nothing weaker may end a job.
"""
