"""The one way to the broker, bounded: messages (``publisher``), and a thread's own connection (``connection``)."""
