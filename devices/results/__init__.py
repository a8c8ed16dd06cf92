"""How the results of sync_devices are read: what a client may leave out, what changed, and their page in the admin."""
