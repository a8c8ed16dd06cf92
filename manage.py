#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
    if sys.argv[1:2] in (["jobs"], ["locks"]):  # they say themselves what they did; the log would stand in between
        os.environ.setdefault("CNAASJOBS_LOG_LEVEL", "WARNING")
    try:
        from cnaasjobs.command_line import main
    except ModuleNotFoundError as exc:
        if exc.name not in ("celery", "django"):
            raise
        sys.exit(f"{sys.executable} has no {exc.name}: use .venv/bin/python, or install what requirements.txt names")

    sys.exit(main(sys.argv))
