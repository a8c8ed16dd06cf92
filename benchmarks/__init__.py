"""Measures the platform against what its users would use instead, and against what the machine can do.

``python -m benchmarks`` runs every row, ``--row NAME`` one of them. Both sides of a row run in turn on the same private
PostgreSQL (fsync on) and RabbitMQ (publisher confirms). ``rows`` says what is measured, ``baselines`` holds the other
sides. Nothing of the product imports this.
"""
