"""What a person asks of jobs: to stop, to run again, to run on what another left undone, to do what a dry run showed.

The API, the admin, the console and the command line come here; each deed is in the audit trail, in the name of the
person. Who may ask is decided where they ask.
"""
