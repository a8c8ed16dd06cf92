"""The operators' pages in Django's admin: jobs, workers, recurring schedules, the audit trail, and the front page.

They read like anybody else and act through ``jobs.lifecycle``, ``jobs.dispatch`` and ``locks.service`` alone. No page
counts or sorts all jobs: a list goes from the newest id backwards and says how far it looked.
"""
