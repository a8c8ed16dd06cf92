"""Searching jobs: ``status:running,exception function:sync device:eosdist1 by:ann since:24h some text``.

The same grammar wherever a person looks for jobs. ``grammar`` reads what was typed, ``qualifiers`` says what each part
of it means, ``find`` reads the jobs, newest first, in two seconds at most.
"""
