"""The lab: a NAPALM driver for files, with an inventory and templates.

The tests use it, and so does an installation in which no inventory of real devices is configured.
"""
