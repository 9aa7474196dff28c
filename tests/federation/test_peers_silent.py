"""A host that never says what it runs is waited for, but not for ever."""

from __future__ import annotations

import pytest

from federation.peers import Peers
from federation.peers.software_book import NODEINFO_PATIENCE_MS
from federation.ports import NullPeerEvents
from foundation.clock import ManualClock
from foundation.database import Database

HOST = "quiet.example"
PEERTUBE = {"software": {"name": "peertube", "version": "6.3.0"}}


@pytest.fixture
def peers(database: Database, clock: ManualClock) -> Peers:
    return Peers(database, clock, NullPeerEvents(), own_host="our.example")


async def test_silence_is_taken_for_no_after_a_while(peers: Peers, clock: ManualClock) -> None:
    assert peers.software.understands_views(HOST) is None
    clock.advance(2 * NODEINFO_PATIENCE_MS)
    assert peers.software.understands_views(HOST) is None, "it was not asked yet"
    peers.software.learn(HOST, None, clock.now_ms())
    assert peers.software.understands_views(HOST) is None
    clock.advance(NODEINFO_PATIENCE_MS - 1)
    peers.software.learn(HOST, None, clock.now_ms())
    assert peers.software.wants_totals(HOST) is None
    clock.advance(1)
    assert peers.software.understands_views(HOST) is False
    assert peers.software.wants_totals(HOST) is False
    peers.software.learn(HOST, PEERTUBE, clock.now_ms())
    assert peers.software.understands_views(HOST) is True


async def test_what_was_known_outlives_silence(peers: Peers, clock: ManualClock) -> None:
    peers.software.learn(HOST, PEERTUBE, clock.now_ms())
    peers.software.learn(HOST, None, clock.now_ms())
    clock.advance(2 * NODEINFO_PATIENCE_MS)
    assert peers.software.understands_views(HOST) is True


async def test_a_silent_host_is_asked_again_after_a_restart(
    peers: Peers, database: Database, clock: ManualClock
) -> None:
    peers.software.learn(HOST, None, clock.now_ms())
    assert not peers.software.nodeinfo_due(HOST, clock.now_ms())
    await peers.save()
    again = Peers(database, clock, NullPeerEvents(), own_host="our.example")
    await again.load()
    assert again.software.nodeinfo_due(HOST, clock.now_ms())
