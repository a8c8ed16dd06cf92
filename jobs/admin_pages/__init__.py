"""The operators' pages in Django's admin: jobs, workers, recurring schedules, the audit trail, and the front page.

They read the tables directly, and act only through ``jobs.lifecycle``, ``jobs.dispatch`` and ``locks.service``. No page
counts or sorts all jobs: a list goes backwards from the newest id and says how far it has looked.
"""
