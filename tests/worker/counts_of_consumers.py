"""A worker that imports this treats prefetch counts as each consumer's own, as it does with RabbitMQ 4."""

from kombu.transport.pyamqp import Transport

Transport.qos_semantics_matches_spec = lambda self, connection: True  # type: ignore[method-assign]
