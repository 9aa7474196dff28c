"""A sentinel, and the primary it leads to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .process import free_port, short_directory
from .redis import RedisServer


@contextlib.contextmanager
def redis_sentinel() -> Iterator[tuple[RedisServer, str]]:
    """A primary, and the URL by which one sentinel leads to it."""
    with short_directory() as directory:
        primary = RedisServer(directory / "primary", port=free_port())
        file = directory / "sentinel.conf"
        file.write_text(f"sentinel monitor live 127.0.0.1 {primary.port} 1\n")
        sentinel = RedisServer(directory / "sentinel", port=free_port(), configuration=file)
        try:
            primary.start()
            sentinel.start()
            yield primary, f"redis+sentinel://127.0.0.1:{sentinel.port}/live/0"
        finally:
            sentinel.kill()
            primary.kill()
