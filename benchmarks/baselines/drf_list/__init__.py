"""The list of jobs as DRF's documentation writes one."""
