"""Beat's process: recurring schedules, the messages of due jobs, its heartbeat and upkeep, each in its own thread."""
