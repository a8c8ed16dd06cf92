"""The way to the database, whichever it is: clock, sessions, bounded waits, prepared statements, rows by the thousand.

Knows no app of ours. Only here and in ``jobs.sql`` may code contain hand-written statements, or depend on which
database it is.
"""
