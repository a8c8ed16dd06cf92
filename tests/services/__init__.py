"""Private services and real processes for tests, the chaos run and the benchmarks, on free ports and own directories.

``PostgreSQL``, ``RabbitMQ`` and ``Redis`` share one interface (``base.Service``); ``processes`` starts our own worker,
Beat and web.
"""

from tests.services.base import Service, scratch_directory
from tests.services.nginx import Nginx
from tests.services.pgbouncer import PgBouncer
from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis import Redis

__all__ = ["SERVICES", "Nginx", "PgBouncer", "PostgreSQL", "RabbitMQ", "Redis", "Service", "scratch_directory"]

SERVICES: dict[str, type[Service]] = {"postgresql": PostgreSQL, "rabbitmq": RabbitMQ, "redis": Redis}
