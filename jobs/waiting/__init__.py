"""What holds a job that is SCHEDULED, in one answer: ``why.reasons_of``.

The console, the API, the admin and the command line show that answer; none of them works it out for itself.
``reasons`` is its vocabulary, ``lines`` says who holds a lock and who waits for it, ``queues`` which workers serve a
queue, ``progress`` how far a job is. It only reads, and its number of statements does not grow with the number of jobs
asked for.
"""
