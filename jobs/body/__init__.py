"""What runs in the process of a body: its context, its progress, the readings that its threads share, how far it has
come, and the signals that may strike it. Knows nothing of the worker, which watches over it.
"""
