"""Repairs what faults leave behind, from Beat's process: it needs no free worker and no broker.

Every step is bounded in time and work, is guarded in the database (any number of Beats may run it at once), and fails
alone. ``runner`` calls them in turn.
"""
