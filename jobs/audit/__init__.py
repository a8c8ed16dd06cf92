"""Who did what: the trail, written with the deed."""
