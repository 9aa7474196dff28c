"""Real servers for tests: a Redis, a Redis Cluster of three nodes, a sentinel and a PostgreSQL, started from programs
that wheels bring.

Each program is looked for in this order: an environment variable, the wheel of the ``dev`` extra, what the system has.
Nothing found is an error, never a skipped test. Servers listen on Unix sockets in a directory of their own (the Cluster
on loopback, its protocol needs ports) and end with the process that started them.
"""

from .cluster import RedisCluster, redis_cluster
from .postgresql import PostgreSQLServer, postgresql_server
from .process import ServerMissingError
from .redis import RedisServer, redis_server
from .sentinel import redis_sentinel

__all__ = [
    "PostgreSQLServer",
    "RedisCluster",
    "RedisServer",
    "ServerMissingError",
    "postgresql_server",
    "redis_cluster",
    "redis_sentinel",
    "redis_server",
]
