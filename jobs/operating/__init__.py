"""What a person asks of jobs: to stop, to run again, to run on what another left undone, to do what a dry run showed.

The API, the admin, the console and the command line come here; each deed is in the audit trail, in the name of the
person. Whether they have the permission is checked before they come here; how far it reaches is checked here.
"""
