"""What runs in the process of a body: its context, its progress, the readings that its threads share."""
