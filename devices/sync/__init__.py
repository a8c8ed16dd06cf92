"""The sync of devices: a campaign over all of them, each device's steps, its report, what is known of it."""
