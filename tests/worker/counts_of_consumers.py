"""A worker that imports this takes prefetch counts for each consumer's, as it does with RabbitMQ 4."""

from kombu.transport.pyamqp import Transport

Transport.qos_semantics_matches_spec = lambda self, connection: True  # type: ignore[method-assign]
