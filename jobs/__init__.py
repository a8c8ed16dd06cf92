"""The jobs platform.

At the top of this package is the vocabulary (``states``, ``end_reasons``, ``models``, ``errors``, …), and what people
who write jobs import (``task``, ``testing``). Each folder is a room: CONTRIBUTING.md says what it is for and what it
may import. A job's way through them is ``dispatch`` → ``signals`` → ``lifecycle`` → ``api``: docs/how-a-job-runs.md.
"""
