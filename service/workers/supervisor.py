"""``fediviews serve --workers N``: starts the workers, keeps them running, passes signals on, ends them together.

The parent makes what all of them need once (schema, keys, the admin token), reserves the port, and serves nothing
itself. A worker that ends is started again; when the parent is gone, however it ended, the workers end by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from foundation.clock import Clock, SystemClock
from foundation.errors import ConfigError
from outbox.waiting import wait_for
from service.app import Service
from service.config import Config

log = logging.getLogger("fediviews.workers")

LINK = "FEDIVIEWS_WORKER"
"""Environment variable of a worker: ``INDEX/COUNT:PORT:FILE DESCRIPTOR``."""
READY = b"r"
FIRST_PAUSE_MS = 500
LONGEST_PAUSE_MS = 30_000
STEADY_MS = 60_000
"""A worker that ran for so long and then ended is started again at once."""
MAX_WORKERS = 256
MISUSED = 2


@dataclass(slots=True)
class _Child:
    index: int
    process: asyncio.subprocess.Process | None = None
    ready: bool = False


class Supervisor:
    """``welcome`` is called with the port once all workers listen."""

    def __init__(self, config: Config, count: int, welcome: Callable[[int], None], clock: Clock | None = None) -> None:
        """Raises ConfigError where several processes cannot serve the instance."""
        if not 1 <= count <= MAX_WORKERS:
            raise ConfigError("--workers", f"has to be between 1 and {MAX_WORKERS}")
        _require_stores(config)
        self._config = config
        self._count = count
        self._welcome = welcome
        self._clock = clock or SystemClock()
        self._children = [_Child(index) for index in range(count)]
        self._stopping = asyncio.Event()
        self._failed = 0
        self._welcomed = False

    async def run(self) -> int:
        """Until SIGINT or SIGTERM; the exit status."""
        await Service.prepare(self._config)
        holder = _reserve(self._config.listen.host, self._config.listen.port)
        port = holder.getsockname()[1]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        try:
            async with asyncio.TaskGroup() as group:
                keepers = [group.create_task(self._keep(child, port)) for child in self._children]
                await self._stopping.wait()
                self._pass_on(signal.SIGTERM)
                grace_ms = self._config.listen.shutdown_grace_ms + 10_000
                _, late = await asyncio.wait(keepers, timeout=grace_ms / 1000)
                if late:
                    self._pass_on(signal.SIGKILL)
        finally:
            holder.close()
        return self._failed

    def _pass_on(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.process is not None and child.process.returncode is None:
                child.process.send_signal(number)

    async def _keep(self, child: _Child, port: int) -> None:
        pause_ms = FIRST_PAUSE_MS
        while not self._stopping.is_set():
            started_ms = self._clock.monotonic_ms()
            status = await self._serve(child, port)
            if self._stopping.is_set():
                return
            if status == MISUSED:
                # It would end the same way again.
                self._failed = MISUSED
                self._stopping.set()
                return
            log.warning("worker %d ended (%s) and is started again", child.index, _how(status))
            if self._clock.monotonic_ms() - started_ms >= STEADY_MS:
                pause_ms = FIRST_PAUSE_MS
            await wait_for(self._stopping, self._clock, pause_ms)
            pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)

    async def _serve(self, child: _Child, port: int) -> int:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                env = os.environ | {LINK: f"{child.index}/{self._count}:{port}:{theirs.fileno()}"}
                command = [sys.executable, "-m", "service.cli", "serve", "--config", str(self._config.source_path)]
                child.process = await asyncio.create_subprocess_exec(*command, env=env, pass_fds=(theirs.fileno(),))
            if self._stopping.is_set():
                self._pass_on(signal.SIGTERM)
            ours.setblocking(False)
            listening = asyncio.create_task(self._hear(child, ours, port), name="worker ready")
            try:
                return await child.process.wait()
            finally:
                child.ready = False
                listening.cancel()

    async def _hear(self, child: _Child, link: socket.socket, port: int) -> None:
        if await asyncio.get_running_loop().sock_recv(link, 1) == READY:
            child.ready = True
            if not self._welcomed and all(each.ready for each in self._children):
                self._welcomed = True
                self._welcome(port)


def _require_stores(config: Config) -> None:
    lacking = []
    if config.storage.live.url is None:
        lacking.append("storage.live in Redis")
    if config.storage.database.url is None:
        lacking.append("storage.database in PostgreSQL")
    if lacking:
        wanted = " and ".join(lacking)
        raise ConfigError("--workers", f"several workers need {wanted}: memory and SQLite are of one process")
    if config.source_path is None:
        raise ConfigError("--workers", "several workers need a configuration file")


def _reserve(host: str, port: int) -> socket.socket:
    """The port, taken but not listened on: it stays ours while workers come and go. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        # Without reuse first: another service on this port would otherwise share it with us unnoticed.
        if port:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((host, port))
    except OSError as problem:
        holder.close()
        raise ConfigError("listen", f"cannot listen on {host}:{port}: {problem.strerror}") from None
    return holder


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"
