"""``manage.py jobs`` and ``manage.py locks``: what a person at the shell sees and does.

``tables`` makes tables of what the other rooms return, ``follow`` waits for jobs, ``deeds`` makes changes, in the name
of the shell's user. A terminal gets colours and bars; a pipe gets plain text, or JSON as the API writes it.
"""
