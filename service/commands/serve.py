"""Running one service in the foreground: a word of welcome, signals, and a clean end."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Mapping

from foundation.ending import end
from foundation.errors import ConfigError, StorageUnavailable
from service import VERSION
from service.app import Service
from service.config import EMPTY, Config, load_config
from service.config.admin_token import FILE_NAME as ADMIN_TOKEN_FILE
from service.config.starting import doubts
from service.garbage import look_rarely
from service.workers.link import ParentLink
from service.workers.supervisor import Supervisor

log = logging.getLogger("fediviews")


async def serve(config: Config, env: Mapping[str, str], parent: ParentLink | None = None) -> int:
    """Run until SIGINT or SIGTERM; SIGHUP reads the configuration again. ``parent`` is there for a worker, which ends
    with it."""
    # Whoever asks for a reload while we start has just been read; without this, the signal would end the process.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    if parent is None:
        _say_doubts(config)
    service = await Service.create(config, worker=None if parent is None else parent.worker)
    try:
        await service.start()
        look_rarely()
        if parent is None:
            print_welcome(service.config, service.url, service.admin_token_path)
        else:
            await parent.ready()
        await _until_stopped(service, env, parent)
    finally:
        await service.stop()
        # What is left goes with the process: looking through it for circles would only delay the end.
        gc.freeze()
    return 0


async def serve_workers(config: Config, count: int) -> int:
    """Run ``count`` processes until SIGINT or SIGTERM. Raises ConfigError, StorageUnavailable."""

    def welcome(port: int) -> None:
        host = f"[{config.listen.host}]" if ":" in config.listen.host else config.listen.host
        token = None if config.tokens else str(config.storage.directory / ADMIN_TOKEN_FILE)
        print_welcome(config, f"http://{host}:{port}", token, workers=count)

    _say_doubts(config)
    return await Supervisor(config, count, welcome).run()


def _say_doubts(config: Config) -> None:
    for doubt in doubts(config):
        log.warning("%s", doubt)


async def _until_stopped(service: Service, env: Mapping[str, str], parent: ParentLink | None) -> None:
    loop, stopping, reloading = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.set)
    stopped = asyncio.create_task(stopping.wait(), name="stop signal")
    orphaned = None if parent is None else asyncio.create_task(parent.gone(), name="parent gone")
    if orphaned is not None:
        orphaned.add_done_callback(lambda _: stopping.set())
    try:
        while not stopping.is_set():
            asked = asyncio.create_task(reloading.wait(), name="reload signal")
            await asyncio.wait({stopped, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if reloading.is_set() and not stopping.is_set():
                reloading.clear()
                await _reload(service, env)
    finally:
        await end(stopped, orphaned)


async def _reload(service: Service, env: Mapping[str, str]) -> None:
    path = service.config.source_path
    if path is None:
        return
    try:
        config = load_config(path, env)
        if config.empty:
            raise ConfigError("", f"{path}: {EMPTY}; where that is meant, restart")
        await service.reload(config)
    except (ConfigError, StorageUnavailable) as problem:
        log.error("the configuration was not reloaded, the old one stays: %s", problem)


def print_welcome(config: Config, url: str, token: str | None, workers: int = 1) -> None:
    """Where it listens and what to try next; to standard error, where the log goes."""
    lines = [
        f"Fediviews {VERSION} listens on {url} as {config.instance.url}",
        f"  data        {config.storage.directory}",
    ]
    if workers > 1:
        lines.append(f"  workers     {workers}")
    if token is not None:
        lines.append(f"  admin token {token}")
    lines += [
        "Try next:",
        f"  curl {url}/.well-known/nodeinfo",
        f"  curl {url}/api/v1/videos",
    ]
    if token is not None:
        uuid = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
        body = '{"name": "Big Buck Bunny", "duration": 596}'
        lines += [
            f"  curl -X PUT {url}/api/v1/videos/{uuid} -H 'Content-Type: application/json' \\",
            f"    -H \"Authorization: Bearer $(cat {token})\" -d '{body}'",
        ]
    lines.append("Ctrl-C stops it.")
    print("\n".join(lines), file=sys.stderr, flush=True)
