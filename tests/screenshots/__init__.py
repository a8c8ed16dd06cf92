"""``make screenshots``: the pictures of the README, from the platform as ``make run`` starts it."""
