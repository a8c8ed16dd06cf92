"""The lab: a NAPALM driver over files, with an inventory and templates for it. The default, and for tests."""
