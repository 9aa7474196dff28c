"""A Redis Cluster of primaries."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .process import READY_WITHIN_S, free_port, short_directory
from .redis import RedisServer

SLOTS = 16384


@dataclass(frozen=True, slots=True)
class RedisCluster:
    nodes: Sequence[RedisServer]
    url: str

    def flush(self) -> None:
        for node in self.nodes:
            node.flush()


@contextlib.contextmanager
def redis_cluster(size: int = 3) -> Iterator[RedisCluster]:
    """Primaries only, the slots in equal ranges."""
    with short_directory() as directory:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"]
        nodes = [RedisServer(directory / str(number), port=free_port(), options=options) for number in range(size)]
        try:
            for number, node in enumerate(nodes):
                node.start()
                slots = range(number * SLOTS // size, (number + 1) * SLOTS // size)
                node.call("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
                assert node.call("CLUSTER", "ADDSLOTS", *map(str, slots)) == b"+OK\r\n"
            for node in nodes[1:]:
                nodes[0].call("CLUSTER", "MEET", "127.0.0.1", str(node.port))
            give_up = time.monotonic() + READY_WITHIN_S
            while not all(_settled(node, size) for node in nodes):
                if time.monotonic() > give_up:
                    raise RuntimeError(f"the cluster did not form: {nodes[0].call('CLUSTER', 'INFO')!r}")
                time.sleep(0.02)
            yield RedisCluster(nodes, f"redis+cluster://127.0.0.1:{nodes[0].port}")
        finally:
            for node in nodes:
                node.kill()


def _settled(node: RedisServer, size: int) -> bool:
    info = node.call("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % size in info
