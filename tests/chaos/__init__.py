"""The chaos run: a whole fleet on private services, jobs of many kinds, faults from a seeded plan, and a checker.

``python -m tests.chaos`` (``make chaos``) runs it. What the run saw is a ``record.Record``; the promises are checked on
that alone, by pure functions (``checks``), so that a fabricated record shows that each broken promise is found. Three
independent sources are compared: the ledger that job bodies write, the history that the run's own triggers keep in the
database, and what the harness itself did to the processes.
"""
