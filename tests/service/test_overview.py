"""What happens today, of web sites, peers and deliveries, as REST and the dashboard say it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from foundation.clock import ManualClock
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.principal import Role
from inbox.quarantine import Quarantine
from inbox.replay import QuarantineReplay
from outbox.lag import DeliveryLag
from service.admin.quarantines import Quarantines
from service.admin.today import Lags, healthy
from service.app import Service
from service.config import Config, Listen, Pages, Secret, Site, Storage, Token
from service.workers.siblings import Siblings, Worker

ADMIN = "an-admins-token"
DAY_MS = 86_400_000


@pytest.fixture
async def service(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Service]:
    config = Config(
        listen=Listen(port=0),
        storage=Storage(directory=tmp_path / "data"),
        tokens=(Token(name="chief", role=Role.ADMIN, value=Secret(ADMIN)),),
        pages=Pages(sites=(Site(host="a.example"), Site(host="b.example"))),
    )
    service = await Service.create(config, clock=clock)
    await service.start()
    yield service
    await service.stop()


async def read(service: Service, site: str, session: str) -> None:
    body = {"site": site, "path": "/", "sessionId": session}
    async with aiohttp.ClientSession() as http:
        for name in ("views", "heartbeat"):
            async with http.post(f"{service.url}/api/v1/pages/{name}", json=body) as answer:
                assert answer.status == 204


async def now(service: Service) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"{service.url}/api/v1/server/now", headers=headers) as answer,
    ):
        said: dict[str, Any] = await answer.json()
        return said


async def test_today_begins_at_midnight_in_utc(service: Service, clock: ManualClock) -> None:
    clock.advance(2 * DAY_MS - clock.now_ms() % DAY_MS - 60_000)
    await read(service, "a.example", "anna")
    clock.advance(120_000)
    for site, session in (("a.example", "bert"), ("a.example", "carl"), ("b.example", "bert")):
        await read(service, site, session)
    clock.advance(5_000)
    found = await now(service)
    assert found["today"] == {
        "since": found["today"]["since"],
        "views": 0,
        "pageViews": 3,
        "uniqueVisitors": 3,
    }
    assert found["today"]["since"].endswith("T00:00:00.000Z")
    assert found["pageVisitors"] == 3
    assert found["delivery"] == {"delivered": 0, "lagP95Ms": None}
    assert found["peersHealth"] == {"healthy": 0, "known": 0}


def peer(**said: Any) -> dict[str, Any]:
    plain = {"blocked": False, "listed": False, "follower": True, "following": None, "breaker": "closed"}
    return {**plain, "trouble": None, "delivery": {"setAside": 0}, **said}


@pytest.mark.parametrize(
    ("one", "well", "known"),
    [
        (peer(), 1, 1),
        (peer(follower=False), 0, 0),
        (peer(follower=False, listed=True), 1, 1),
        (peer(blocked=True), 0, 0),
        (peer(breaker="open"), 0, 1),
        (peer(trouble="timeout"), 0, 1),
        (peer(delivery={"setAside": 1}), 0, 1),
    ],
)
def test_who_is_healthy(one: dict[str, Any], well: int, known: int) -> None:
    assert healthy([one]) == {"healthy": well, "known": known}


async def test_workers_answer_as_one(tmp_path: Path, clock: ManualClock) -> None:
    async def apply(*_: object) -> None:
        return None

    crew, books, lags = [], [], []
    for index in range(3):
        siblings = Siblings(Worker(index, 3, 1), tmp_path, Metrics())
        quarantine, lag = Quarantine(10, clock, Metrics(), 1_000), DeliveryLag(clock, Metrics())
        quarantine.add(Refused("not_origin", f"by {index}", 202), host="peer.example")
        quarantine.add(Refused("expired", f"by {index}", 202), host="other.example")
        lag.delivered([clock.now_ms() - 1_000 * index])
        replay = QuarantineReplay(quarantine, apply, lambda _host: None)
        books.append(Quarantines(quarantine, replay, siblings))
        lags.append(Lags(lag, siblings))
        crew.append(siblings)
        clock.advance(1)
    # The third one is not up: the others answer without it.
    await asyncio.gather(*(each.start() for each in crew[:2]))
    try:
        for book in books[:2]:
            found = (await book.newest("peer.example"))["data"]
            assert [(one["detail"], one["worker"]) for one in found] == [("by 1", 1), ("by 0", 0)]
        assert [(await each.read())["delivered"] for each in lags[:2]] == [2, 2]
        assert (await lags[0].read())["lagP95Ms"] == 1_000
        assert await books[0].replay(None, None) == {"applied": 0, "dropped": 0, "left": 0}
        assert await books[1].drop("peer.example", None) == {"dropped": 2}
        assert [one["host"] for one in (await books[0].newest(None))["data"]] == ["other.example"] * 2
    finally:
        await asyncio.gather(*(each.stop() for each in crew[:2]))
