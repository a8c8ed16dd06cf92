"""The way to the database, whichever it is: clock, sessions, bounded waits, prepared statements, rows by the thousand.

Knows no app of ours. Here and in ``jobs.sql`` a statement may be written by hand and the database be told from the
other one, and nowhere else .
"""
