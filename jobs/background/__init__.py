"""Threads that must go on: loops, how they meet faults, and bounds of time."""
