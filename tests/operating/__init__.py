"""Tests of what a person asks of jobs."""
