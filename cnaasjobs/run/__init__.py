"""What ``make run`` starts: the whole platform on one machine, as supervised processes. Production does not need it.

``environment``  makes ``.venv`` (run by the system's Python, before anything is installed)
``config``       what the environment variables ask for
``state``        the state directory: its lock, its secrets, its logs
``programs``     the command line of each process
``changed``      whether the files still hold the code that runs
``caller``       whether make, that started it, was told to end
``supervisor``   starts them, starts them again, ends them
``loaded``       a process that loads the project, has the database prepared, and begins the programs as its copies
``prepare``      migrations, admin user, token (in a process of its own: the supervisor stays free of Django)
``api``          the API, as one of its clients calls it
``first_job``    the dry run of the first start: announced, followed over HTTP
``outcomes``     what it found on each device, as a short table
``screen``       where everything is and what to try, in words
"""
