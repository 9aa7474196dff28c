"""The command line's side of the admin REST of a running service."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import quote

import aiohttp

from foundation.errors import ConfigError, FediviewsError
from foundation.principal import Role
from service.config import Config
from service.config.admin_token import FILE_NAME, generate_admin_token

TIMEOUT_S = 30


class AdminError(FediviewsError):
    """The running service could not be asked, or said no."""


async def follow(config: Config, host: str) -> int:
    await _ask(config, "POST", "/api/v1/server/following", {"hosts": [host]})
    print(f"asked to follow {host}; `fediviews peers` shows when it has accepted")
    return 0


async def unfollow(config: Config, host: str) -> int:
    await _ask(config, "DELETE", f"/api/v1/server/following/{quote(host, safe='')}")
    print(f"no longer following {host}")
    return 0


async def print_peers(config: Config) -> int:
    """Every known peer, a line each."""
    answer = await _ask(config, "GET", "/api/v1/server/peers")
    rows = [
        (
            peer["host"],
            peer["software"] or "-",
            peer["following"] or "-",
            "yes" if peer["follower"] else "-",
            "blocked" if peer["blocked"] else f"{peer['clockOffsetMs']} ms",
            peer["breaker"],
            peer["trouble"] or "-",
        )
        for peer in answer["data"]
    ]
    titles = ("HOST", "SOFTWARE", "WE FOLLOW", "FOLLOWS US", "CLOCK", "BREAKER", "TROUBLE")
    widths = [max(len(row[column]) for row in [titles, *rows]) for column in range(len(titles))]
    for row in [titles, *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


async def _ask(config: Config, method: str, path: str, body: object = None) -> Any:
    url = f"http://{_listening(config)}{path}"
    headers = {"Authorization": f"Bearer {_token(config)}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, json=body, headers=headers) as answer,
        ):
            said = await answer.json(content_type=None) if answer.content_length != 0 else None
    except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
        raise AdminError(f"no answer from {url}: is `fediviews serve` running with this config? ({problem})") from None
    if answer.status >= 400:
        detail = said.get("detail") if isinstance(said, dict) else None
        raise AdminError(f"{method} {path}: {answer.status} {detail or answer.reason}")
    return said


def _listening(config: Config) -> str:
    """The service is asked on its own socket, not through whatever stands before it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.listen.host, config.listen.host)  # noqa: S104
    return f"[{host}]:{config.listen.port}" if ":" in host.strip("[]") else f"{host}:{config.listen.port}"


def _token(config: Config) -> str:
    for token in config.tokens:
        if token.role is Role.ADMIN and token.value is not None:
            return token.value.reveal()
    if config.tokens:
        raise ConfigError("tokens", "no token of role admin has a value: the command line has nothing to show")
    if not (config.storage.directory / FILE_NAME).exists():
        print("the service has never run with this config: it has no admin token yet", file=sys.stderr)
    return generate_admin_token(config.storage.directory)[0]
