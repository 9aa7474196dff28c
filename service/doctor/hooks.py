"""Webhooks out and LiveKit's in: do receivers take a signed test, is anything stuck, are rooms videos of ours?"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from foundation.errors import StorageUnavailable
from outbox.webhooks.hooks import Hook
from outbox.webhooks.queue import Depth, WebhookQueue
from outbox.webhooks.sender import Tried
from service.building.webhooks import try_hooks
from service.doctor.model import Finding, Surroundings, failed, ok, warning
from views.tables import videos

SHORT_SECRET = 32
"""Characters below which an HS256 secret is weaker than its hash (RFC 7518 section 3.2)."""

STUCK_MS = 3_600_000

_LIVEKIT = "livekit"
_ADVICE = {
    "address_refused": "allow_private_addresses of this webhook is for a receiver at a private address",
    "scheme_refused": "use https, or allow_private_addresses for a receiver that speaks plain http",
    "tls_failed": "its certificate has to be valid for this host",
    "status_401": "it has to know this key and secret, and its clock has to be right",
    "status_403": "it has to know this key and secret, and its clock has to be right",
    "status_404": "is the path of its URL right?",
}
_ANY_ADVICE = "is its URL right, is it up, does it answer 2xx?"


async def webhooks(around: Surroundings) -> Sequence[Finding]:
    """Sends each receiver a test event, as ``POST /api/v1/server/webhooks/test`` does."""
    if not around.config.webhooks:
        return []
    waiting = await _waiting(around)
    found: list[Finding] = []
    for hook, tried in await try_hooks(around.config, around.clock):
        found.append(_taken(hook, tried))
        found += _stuck(hook, waiting.get(hook.id, Depth()), around.clock.now_ms())
        if len(hook.secret) < SHORT_SECRET:
            found.append(warning(_check(hook), "its secret is short", f"use {SHORT_SECRET} characters or more"))
    return found


async def livekit(around: Surroundings) -> Sequence[Finding]:
    """Whether what is configured can ever count anybody."""
    asked = around.config.livekit
    if not asked.keys and not asked.rooms:
        return []
    found: list[Finding] = []
    if not asked.keys or not asked.rooms:
        missing = "rooms" if asked.keys else "keys"
        found.append(warning(_LIVEKIT, f"no {missing} are configured", f"without livekit.{missing} nobody is counted"))
    found += [
        warning(_LIVEKIT, f"the secret of {one.key} is short", "LiveKit asks for 32 characters too")
        for one in asked.keys
        if len(one.secret.reveal()) < SHORT_SECRET
    ]
    return [*found, *await _rooms(around)] or [ok(_LIVEKIT, f"{len(asked.rooms)} rooms are live videos")]


def _check(hook: Hook) -> str:
    return f"webhook {hook.host}"


def _taken(hook: Hook, tried: Tried) -> Finding:
    if tried.delivered:
        return ok(_check(hook), "took a signed test event")
    advice = _ADVICE.get(tried.reason, _ANY_ADVICE)
    return failed(_check(hook), f"did not take a signed test event: {tried.reason}", advice)


def _stuck(hook: Hook, depth: Depth, now_ms: int) -> list[Finding]:
    if depth.oldest_ms is None or now_ms - depth.oldest_ms < STUCK_MS:
        return []
    minutes = (now_ms - depth.oldest_ms) // 60_000
    advice = "GET /api/v1/server/webhooks says since when and why; they are dropped at max_age"
    return [warning(_check(hook), f"{depth.waiting} events wait, the oldest for {minutes} minutes", advice)]


async def _waiting(around: Surroundings) -> dict[str, Depth]:
    """Nothing where the database has its own troubles: those are another check's."""
    if around.database is None:
        return {}
    try:
        return await WebhookQueue(around.database).depths()
    except StorageUnavailable:
        return {}


async def _rooms(around: Surroundings) -> list[Finding]:
    asked = around.config.livekit.rooms
    if around.database is None or not asked:
        return []
    columns = select(videos.c.uuid, videos.c.is_live, videos.c.local)
    query = columns.where(videos.c.uuid.in_([one.video for one in asked]))
    try:
        async with around.database.read() as tx:
            known = {row.uuid: row for row in await tx.execute(query)}
    except StorageUnavailable:
        return []
    found = []
    for one in asked:
        video = known.get(one.video)
        if video is None or not video.local:
            advice = f"register {one.video}, over REST or in videos of config.yaml: until then nobody is counted"
            found.append(failed(_LIVEKIT, f"the room {one.room} is no video here", advice))
        elif not video.is_live:
            found.append(warning(_LIVEKIT, f"the video of the room {one.room} is not live", "register it as isLive"))
    return found
