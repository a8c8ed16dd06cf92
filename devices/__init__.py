"""The first consumer of the platform: synchronises network devices (Nornir's inventory, NAPALM's drivers)."""
