"""``/metrics`` for Prometheus: gauges, which are read from the database at each scrape, and stored counters.

Counters (ends, seconds, repairs) are kept in a table, so that they survive restarts and are the same in every web
process. ``fold`` adds the jobs that ended, ``counted_here`` what this process has counted itself; upkeep calls both.
``collect`` makes Prometheus's families from that table and a few queries.
"""
