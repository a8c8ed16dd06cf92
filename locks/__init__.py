"""Named locks: one holder at a time, with a fencing token. Knows a holder only as an id and a token; knows no jobs."""
