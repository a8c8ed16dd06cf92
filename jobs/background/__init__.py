"""Threads that must keep running: their loops, how they handle faults, and time limits."""
