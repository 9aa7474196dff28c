"""The table of checks, and running all of it within a bounded time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from service.doctor import hooks, identity, peers, places, stores
from service.doctor.model import Check, Finding, Status, Surroundings, failed

TIMEOUT_S = 60.0
"""Of one check; what it asks others has shorter limits of its own."""

CHECKS: tuple[tuple[str, Check], ...] = (
    ("secret files", identity.files),
    ("clock", peers.clock),
    ("disk", stores.disk),
    ("database", stores.database),
    ("live store", stores.live),
    ("name", identity.name),
    ("webfinger", identity.webfinger),
    ("proxy", places.proxy),
    ("geoip", places.geoip),
    ("peers", peers.round_trips),
    ("webhooks", hooks.webhooks),
    ("livekit", hooks.livekit),
)

log = logging.getLogger("fediviews.doctor")


async def examine(around: Surroundings) -> list[Finding]:
    """Everything that was found, in the order of the table."""
    found = await asyncio.gather(*(_run(name, check, around) for name, check in CHECKS))
    return [finding for findings in found for finding in findings]


async def _run(name: str, check: Check, around: Surroundings) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await check(around)
    except TimeoutError:
        return [failed(name, f"did not end within {TIMEOUT_S:.0f} s", "look at what it asks")]
    except Exception as problem:
        # One check that stumbles must not hide the others.
        log.exception("the check of %s failed", name)
        return [failed(name, f"the check itself failed: {type(problem).__name__}", "the log has more; report it")]


def worst(findings: Sequence[Finding]) -> Status:
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)
