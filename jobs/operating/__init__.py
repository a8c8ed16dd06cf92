"""What a person asks of jobs: to stop, to run again, to run on what another left undone, to do what a dry run showed.

The API, the admin, the console and the command line come here; each deed is in the audit trail, in the name of the
person. What somebody may do at all is asked where they ask; how far it reaches is asked here.
"""
