"""A worker that imports this applies prefetch counts to each consumer, as RabbitMQ 4 does."""

from kombu.transport.pyamqp import Transport

Transport.qos_semantics_matches_spec = lambda self, connection: True  # type: ignore[method-assign]
