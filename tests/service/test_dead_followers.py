"""Whoever takes nothing any more has to make room, and nobody else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from foundation.clock import ManualClock
from outbox.health import Health, is_dead
from outbox.tables import delivery_health
from service.app import Service
from service.config import Config, Listen, Peer, Storage

DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("changed", "dead"),
    [
        ({}, True),
        ({"arrived_ms": 10 * DAY_MS}, True),
        ({"since_ms": 21 * DAY_MS}, False),
        ({"days": 6}, False),
        ({"failures": 0, "days": 0, "since_ms": 0}, False),
        ({"arrived_ms": 25 * DAY_MS}, False),
    ],
)
def test_who_is_dead(changed: dict[str, int], dead: bool) -> None:
    health = Health("peer.example", failures=30, days=30, since_ms=15 * DAY_MS)
    assert is_dead(dataclasses.replace(health, **changed), 20 * DAY_MS) is dead


async def test_dead_followers_go_and_named_ones_stay(tmp_path: Path, clock: ManualClock) -> None:
    config = Config(listen=Listen(port=0), storage=Storage(directory=tmp_path), peers=(Peer(host="named.example"),))
    service = await Service.create(config, clock=clock)
    peers, database, now_ms = service.federation.peers, service.ground.database, clock.now_ms()
    us = service.directory.identity.actor_url
    try:
        for host, days in (("dead.example", 40), ("named.example", 40), ("ill.example", 20), ("well.example", 0)):
            actor = f"https://{host}/actor"
            told = {"actor": actor, "host": host, "inbox": f"{actor}/inbox", "follow_id": f"{actor}/f"}
            told |= {"object_": us}
            apply = await database.write(lambda tx, told=told: peers.add_follower(tx, shared_inbox=None, **told))
            apply()
            health = Health(
                host,
                failures=days,
                days=days,
                since_ms=now_ms - days * DAY_MS if days else 0,
                failed_ms=now_ms - 1 if days else 0,
                kept_ms=now_ms,
            )
            row = {**dataclasses.asdict(health), "breaker": health.breaker.value}
            await database.write(lambda tx, row=row: tx.execute(delivery_health.insert().values(**row)))
        await service.house.outlet.health.load()
        for _ in range(2):
            await service.housekeeping.purge()
            hosts = [follower.host for follower in peers.followers()]
            assert hosts == ["ill.example", "named.example", "well.example"]
    finally:
        await service.stop()
