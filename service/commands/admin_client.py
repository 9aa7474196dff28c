"""The command line's side of the admin REST of a running service."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp

from foundation.clock import SystemClock
from foundation.decisions import COMMAND_LINE_AGENT
from foundation.errors import ConfigError, FediviewsError
from foundation.principal import Role
from foundation.tokens import BAD_TOKEN
from foundation.urls import parse_host
from service import VERSION
from service.commands.peer_table import peer_lines, refusal_lines, undelivered_lines
from service.commands.terminal import width_of
from service.commands.video_table import stats_lines, video_lines
from service.config import Config
from service.config.admin_token import FILE_NAME, generate_admin_token

TIMEOUT_S = 30


class AdminError(FediviewsError):
    """The running service could not be asked, or said no."""


_JUDGED = {
    "block": "{host} is blocked: its viewers vanish within a second",
    "unblock": "{host} is blocked no more: the rules for everybody hold of it",
    "allow": "{host} may speak",
    "disallow": "{host} is not allowed any more: the rules for everybody hold of it",
}
_UNKNOWN = "{host} is blocked; nothing is known of it yet: is its name spelt right?"


async def follow(config: Config, host: str) -> int:
    await _ask(config, "POST", "/api/v1/server/following", {"hosts": [host]})
    print(f"asked to follow {host}; `fediviews peers` shows when it has accepted")
    return 0


async def unfollow(config: Config, host: str) -> int:
    await _ask(config, "DELETE", f"/api/v1/server/following/{quote(host, safe='')}")
    print(f"no longer following {host}")
    return 0


async def judge(config: Config, host: str, verdict: str) -> int:
    """``verdict`` is ``block``, ``unblock``, ``allow`` or ``disallow``."""
    known = verdict != "block" or await _knows(config, host)
    await _ask(config, "POST", f"/api/v1/server/peers/{quote(host, safe='')}/{verdict}")
    print((_JUDGED[verdict] if known else _UNKNOWN).replace("{host}", host))
    return 0


async def quarantine(config: Config, action: str, host: str | None, reason: str | None) -> int:
    """``action`` is ``list``, ``replay`` or ``drop``; of one host and one reason where given."""
    chosen = urlencode({name: value for name, value in (("host", host), ("reason", reason)) if value is not None})
    path = "/api/v1/server/quarantine"
    if action == "drop":
        answer = await _ask(config, "DELETE", f"{path}?{chosen}")
        print(f"{answer['dropped']} forgotten")
    elif action == "replay":
        answer = await _ask(config, "POST", f"{path}/replay?{chosen}")
        print(f"{answer['applied']} applied, {answer['dropped']} dropped again, {answer['left']} left")
    else:
        answer = await _ask(config, "GET", f"{path}?{chosen}")
        entries = [entry for entry in answer["data"] if reason in (None, entry["reason"])]
        print("\n".join(refusal_lines(entries, width_of(sys.stdout))))
    return 0


async def print_peers(config: Config, *, as_json: bool = False) -> int:
    """Every known peer and how deliveries to it stand: a line each, or as REST says it."""
    answer = await _ask(config, "GET", "/api/v1/server/peers")
    _print(answer["data"], peer_lines, as_json)
    return 0


async def print_undelivered(config: Config, host: str | None, *, as_json: bool = False) -> int:
    """What peers (or one) do not take, and why."""
    query = "" if host is None else f"?host={quote(host, safe='')}"
    answer = await _ask(config, "GET", f"/api/v1/server/undelivered{query}")
    if answer["data"] or as_json:
        _print(answer["data"], undelivered_lines, as_json)
    elif host is None:
        print("nothing is undelivered")
    else:
        unknown = "" if await _knows(config, host) else "; no peer of this name is known"
        print(f"nothing is undelivered to {host}{unknown}")
    return 0


async def judge_undelivered(config: Config, verdict: str, host: str, activity_id: str | None) -> int:
    """``retry`` or ``drop`` one activity, or all, that a host does not take."""
    query = "" if activity_id is None else f"?id={quote(activity_id, safe='')}"
    path = f"/api/v1/server/peers/{quote(host, safe='')}/undelivered/{verdict}{query}"
    changed = (await _ask(config, "POST", path))["changed"]
    print(f"{changed} taken up again; what waits is tried now" if verdict == "retry" else f"{changed} given up")
    return 0


async def print_videos(config: Config, *, count: int, live: bool, as_json: bool = False) -> int:
    """The newest ``count``, or those that are live; private ones too."""
    chosen = urlencode({"count": count, "sort": "-publishedAt", **({"isLive": "true"} if live else {})})
    found = (await _ask(config, "GET", f"/api/v1/videos?{chosen}"))["data"]
    _print(found, lambda videos, _, width: video_lines(videos, width), as_json)
    return 0


async def print_stats(config: Config, video: str, *, as_json: bool = False) -> int:
    """What there is to know of one video: who watches it now, and its statistics where it is ours."""
    path = f"/api/v1/videos/{quote(video, safe='')}"
    shown = await _ask(config, "GET", path)
    answers = {"video": shown, "viewers": await _ask(config, "GET", f"{path}/viewers"), "overall": {}, "userAgent": {}}
    if shown["isLocal"]:
        answers["overall"] = await _ask(config, "GET", f"{path}/stats/overall")
        answers["userAgent"] = await _ask(config, "GET", f"{path}/stats/user-agent")
    said = json.dumps(answers, indent=2) if as_json else "\n".join(stats_lines(*answers.values()))
    print(said)
    return 0


async def _knows(config: Config, host: str) -> bool:
    """Whether the service has heard of this host."""
    with contextlib.suppress(ValueError):
        host = parse_host(host)
    return any(peer["host"] == host for peer in (await _ask(config, "GET", "/api/v1/server/peers"))["data"])


def _print(
    data: list[dict[str, Any]],
    lines: Callable[[Sequence[dict[str, Any]], int, int | None], list[str]],
    as_json: bool,
) -> None:
    """``lines`` of the data, the Unix milliseconds of now and the columns there are."""
    if as_json:
        print(json.dumps(data, indent=2))
    else:
        print("\n".join(lines(data, SystemClock().now_ms(), width_of(sys.stdout))))


async def _ask(config: Config, method: str, path: str, body: object = None) -> Any:
    place = f"http://{_listening(config)}"
    url = f"{place}{path}"
    headers = {"Authorization": f"Bearer {_token(config)}", "User-Agent": f"{COMMAND_LINE_AGENT}/{VERSION}"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, json=body, headers=headers) as answer,
        ):
            said = await answer.json(content_type=None) if answer.content_length != 0 else None
    except aiohttp.ClientConnectorError as problem:
        why = os.strerror(problem.errno) if problem.errno else str(problem)
        raise AdminError(f"no answer from {place}: is `fediviews serve` running with this config? ({why})") from None
    except TimeoutError:
        raise AdminError(f"no answer from {place} within {TIMEOUT_S} s: it is busy, or something else") from None
    except (aiohttp.ClientError, ValueError) as problem:
        raise AdminError(f"what answers at {place} does not speak as Fediviews does ({problem})") from None
    if answer.status < 400:
        return said
    refusal = said if isinstance(said, dict) else {}
    if answer.status == 401 and refusal.get("code") == BAD_TOKEN.reason:
        raise AdminError("the service does not know this token: it was started with other tokens; send it SIGHUP")
    wrong = refusal.get("invalid-params")
    if isinstance(wrong, dict):
        raise AdminError("; ".join(f"{name}: {each.get('msg')}" for name, each in wrong.items()))
    raise AdminError(f"{refusal.get('detail') or answer.reason} ({answer.status})")


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
        # Asking is not running: a token made here would be that of no service.
        raise AdminError("the service has never run with this config: is `fediviews serve` running with another one?")
    return generate_admin_token(config.storage.directory)[0]
