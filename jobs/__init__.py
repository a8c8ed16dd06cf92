"""The jobs platform. The way of a job: ``dispatch.schedule`` → ``signals`` → ``lifecycle`` → ``views``."""
