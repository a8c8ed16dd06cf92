"""The product's production settings, and the benchmark's jobs. No other setting is changed."""

from importlib.util import find_spec

from cnaasjobs.settings import *  # noqa: F403

# Another commit, laid out beside this one, has only the first.
CELERY_IMPORTS = [name for name in ("benchmarks.bodies", "benchmarks.fleet_bodies") if find_spec(name)]
