"""The lab: a NAPALM driver for files, with an inventory and templates. The default without devices, and for tests."""
