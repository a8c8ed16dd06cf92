"""The product's production settings, and the benchmark's jobs. No other setting is changed."""

from cnaasjobs.settings import *  # noqa: F403

CELERY_IMPORTS = ["benchmarks.bodies"]
