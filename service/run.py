"""Running one service in the foreground: a word of welcome, signals, and a clean end."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping

from foundation.errors import ConfigError, StorageUnavailable
from service import VERSION
from service.app import Service
from service.config import Config, load_config

log = logging.getLogger("fediviews")


async def serve(config: Config, env: Mapping[str, str]) -> int:
    """Run until SIGINT or SIGTERM; SIGHUP reads the configuration again."""
    # Whoever asks for a reload while we start has just been read; without this, the signal would end the process.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    service = await Service.create(config)
    try:
        await service.start()
        print_welcome(service)
        await _until_stopped(service, env)
    finally:
        await service.stop()
    return 0


async def _until_stopped(service: Service, env: Mapping[str, str]) -> None:
    loop, stopping, reloading = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.set)
    stopped = asyncio.create_task(stopping.wait(), name="stop signal")
    try:
        while not stopping.is_set():
            asked = asyncio.create_task(reloading.wait(), name="reload signal")
            await asyncio.wait({stopped, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if reloading.is_set() and not stopping.is_set():
                reloading.clear()
                await _reload(service, env)
    finally:
        stopped.cancel()


async def _reload(service: Service, env: Mapping[str, str]) -> None:
    path = service.config.source_path
    if path is None:
        return
    try:
        await service.reload(load_config(path, env))
    except (ConfigError, StorageUnavailable) as problem:
        log.error("the configuration was not reloaded, the old one stays: %s", problem)


def print_welcome(service: Service) -> None:
    """Where it listens and what to try next; to standard error, where the log goes."""
    config, url = service.config, service.url
    lines = [
        f"Fediviews {VERSION} listens on {url} as {config.instance.url}",
        f"  data        {config.storage.directory}",
    ]
    if service.admin_token_path is not None:
        lines.append(f"  admin token {service.admin_token_path}")
    lines += [
        "Try next:",
        f"  curl {url}/.well-known/nodeinfo",
        f"  curl {url}/api/v1/videos",
    ]
    if service.admin_token_path is not None:
        uuid = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
        body = '{"name": "Big Buck Bunny", "duration": 596}'
        lines += [
            f"  curl -X PUT {url}/api/v1/videos/{uuid} -H 'Content-Type: application/json' \\",
            f"    -H \"Authorization: Bearer $(cat {service.admin_token_path})\" -d '{body}'",
        ]
    lines.append("Ctrl-C stops it.")
    print("\n".join(lines), file=sys.stderr, flush=True)
