#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cnaasjobs.settings")
    if sys.argv[1:2] in (["jobs"], ["locks"]):  # they say themselves what they did; the log would stand in between
        os.environ.setdefault("CNAASJOBS_LOG_LEVEL", "WARNING")
    from cnaasjobs.command_line import main

    sys.exit(main(sys.argv))
