"""Calls that nobody would write: what the API's description allows, and what it does not, one by one and in chains.

``make fuzz-api CASES=10000`` makes many, other ones each time. The suite makes a few, the same each time.
"""
