"""What runs in the process of a body: its context, its finished devices, the reads that its threads share, which stage
it has reached, and the signals that may interrupt it. Knows nothing about the worker, which watches over it.
"""
