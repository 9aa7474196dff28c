"""A worker's side of the link to the process that started it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping

from service.workers.siblings import Worker
from service.workers.supervisor import LINK, READY


class ParentLink:
    """Says when this worker listens, and knows when the parent is gone."""

    def __init__(self, worker: Worker, link: socket.socket) -> None:
        self.worker = worker
        self._link = link
        link.setblocking(False)

    async def ready(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self._link, READY)

    async def gone(self) -> None:
        """Returns when the parent has ended."""
        while await asyncio.get_running_loop().sock_recv(self._link, 1):
            continue


def parent_link(env: Mapping[str, str]) -> ParentLink | None:
    """None for a process that nobody started as a worker."""
    said = env.get(LINK)
    if said is None:
        return None
    place, port, descriptor = said.split(":")
    index, count = place.split("/")
    os.environ.pop(LINK, None)
    return ParentLink(Worker(int(index), int(count), int(port)), socket.socket(fileno=int(descriptor)))
