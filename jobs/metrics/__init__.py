"""``/metrics`` for Prometheus: the state of the database as it is asked, and counts that only grow.

What only grows (ends, seconds, repairs) is kept in a table, so that it survives restarts and is the same whichever web
process is asked. ``fold`` adds the jobs that ended, ``tally`` what this process saw; upkeep calls both. ``collect``
makes Prometheus's families of that table and of a few queries.
"""
