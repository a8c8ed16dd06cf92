"""The jobs platform. The way of a job: ``dispatch`` → ``signals`` → ``lifecycle`` → ``api``; docs/how-a-job-runs.md."""
