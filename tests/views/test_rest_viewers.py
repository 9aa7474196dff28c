from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient
from rest_house import ADMIN, HOST, SECRET_VIDEO, STATS, VOD, House, build, remote_video

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from views.catalog.catalog import Catalog
from views.counters.base import Reading
from views.model import Privacy, VideoDraft
from views.ports import NullAnnouncer
from views.routes import push as pushing
from views.routes import rooms
from views.routes.services import ApiSettings

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return await build(database, clock, metrics, settings=ApiSettings(max_streams=3))


@pytest.fixture
async def client(house: House, aiohttp_client, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr(pushing, "GAP_MS", 1)
    return await aiohttp_client(house.app())


async def heartbeat(client: TestClient, session: str, **said: object) -> None:
    body = {"currentTime": 1, "sessionId": session, **said}
    response = await client.post(f"/api/v1/videos/{VOD}/views", json=body)
    assert response.status == 204


async def event(response: ClientResponse) -> dict[str, object]:
    """The next event, whatever comments come before it."""
    async with asyncio.timeout(5):
        while (line := await response.content.readline()) != b"event: views-change\n":
            assert line, "the stream has ended"
        data = await response.content.readline()
        assert await response.content.readline() == b"\n"
    return json.loads(data.removeprefix(b"data: "))


async def ended(response: ClientResponse) -> bytes:
    async with asyncio.timeout(5):
        return await response.content.read()


async def test_everybody_reads_the_number_and_its_house_reads_more(client: TestClient, house: House) -> None:
    await heartbeat(client, "a")
    for number in range(3):
        await house.api.viewers.remote_viewer(
            house.videos[VOD], "far.example", bytes([number]) * 16, house.clock.now_ms() + 60_000
        )
    path = f"/api/v1/videos/{VOD}/viewers"
    for headers in ({}, STATS):
        said = await (await client.get(path + "?explain=1", headers=headers)).json()
        assert set(said) == {"viewers", "asOf"}
        assert said["viewers"] == 3
    for headers in (HOST, ADMIN):
        said = await (await client.get(path, headers=headers)).json()
        assert (said["viewers"], said["local"], said["peers"], said["unverified"]) == (3, 1, {"far.example": 2}, 1)
        assert "explain" not in said
    assert (await client.get(path, headers={"Authorization": "Bearer x"})).status == 401


async def test_a_remote_total_is_explained(client: TestClient, house: House) -> None:
    video = await house.api.catalog.put_remote(remote_video())
    now_ms = house.clock.now_ms()
    await house.api.viewers.watching(video, b"a" * 16)
    await house.api.viewers.remote_total(video, video.origin, 10, now_ms + 60_000, now_ms, now_ms, yours=4)
    said = await (await client.get(f"/api/v1/videos/{video.uuid}/viewers?explain=1", headers=HOST)).json()
    assert said["viewers"] == 7
    assert said["explain"] == {"remoteTotal": 10, "oursInRemoteTotal": 4, "elsewhere": 6}


async def test_a_stream_says_the_number_and_then_whenever_it_moves(client: TestClient, house: House) -> None:
    response = await client.get(f"/api/v1/videos/{VOD}/viewers", headers=EVENTS)
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert (await event(response)) | {"asOf": ""} == {"viewers": 0, "asOf": ""}
    await heartbeat(client, "a")
    assert (await event(response))["viewers"] == 1
    await heartbeat(client, "a", viewEvent="leave")
    assert (await event(response))["viewers"] == 0
    response.close()


async def test_a_host_streams_the_breakdown(client: TestClient) -> None:
    response = await client.get(f"/api/v1/videos/{VOD}/viewers", headers={**EVENTS, **HOST})
    assert {"local", "peers", "unverified"} <= set(await event(response))
    response.close()


async def test_streams_are_bounded_and_room_comes_back(client: TestClient, house: House) -> None:
    path = f"/api/v1/videos/{VOD}/viewers"
    open_streams = [await client.get(path, headers=EVENTS) for _ in range(3)]
    refused = await client.get(path, headers=EVENTS)
    assert refused.status == 503
    assert "Retry-After" in refused.headers
    assert (await client.get(path)).status == 200
    for stream in open_streams:
        await event(stream)
        stream.close()
    assert house.push is not None
    async with asyncio.timeout(5):
        for number in range(1_000):
            await heartbeat(client, f"s{number}")
            if len(house.push) == 0:
                break
    assert len(house.push) == 0
    again = await client.get(path, headers=EVENTS)
    assert again.status == 200
    again.close()


async def test_one_client_does_not_take_every_stream(
    database: Database, clock: ManualClock, metrics: Metrics, aiohttp_client
) -> None:
    house = await build(database, clock, metrics, settings=ApiSettings(max_streams_per_address=1))
    client = await aiohttp_client(house.app())
    path = f"/api/v1/videos/{VOD}/viewers"
    first = await client.get(path, headers=EVENTS)
    assert first.status == 200
    assert (await client.get(path, headers=EVENTS)).status == 429
    first.close()


async def test_who_does_not_read_is_passed_over_and_then_cut_off(
    client: TestClient, house: House, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/v1/videos/{VOD}/viewers"
    reading = await client.get(path, headers=EVENTS)
    await event(reading)
    monkeypatch.setattr(rooms, "BEHIND_BYTES", -1)
    monkeypatch.setattr(rooms, "BEHIND_S", 3_600)
    await heartbeat(client, "a")
    for _ in range(100):
        await asyncio.sleep(0)
    monkeypatch.setattr(rooms, "BEHIND_BYTES", 4_096)
    await heartbeat(client, "b")
    assert (await event(reading))["viewers"] == 2
    monkeypatch.setattr(rooms, "BEHIND_BYTES", -1)
    monkeypatch.setattr(rooms, "BEHIND_S", 0)
    assert house.push is not None
    async with asyncio.timeout(5):
        for number in range(1_000):
            await heartbeat(client, f"s{number}")
            if len(house.push) == 0:
                break
    assert len(house.push) == 0
    assert b"fediviews_event_streams_cut_off_total 1.0" in metrics.render()
    reading.close()


async def test_streams_end_at_shutdown_and_no_new_one_begins(client: TestClient, house: House) -> None:
    response = await client.get(f"/api/v1/videos/{VOD}/viewers", headers=EVENTS)
    await event(response)
    assert house.push is not None
    house.push.close()
    assert await ended(response) == b""
    assert (await client.get(f"/api/v1/videos/{VOD}/viewers", headers=EVENTS)).status == 503


async def test_a_stream_ends_with_its_video(client: TestClient, house: House) -> None:
    response = await client.get(f"/api/v1/videos/{VOD}/viewers", headers=EVENTS)
    await event(response)
    await house.put(VOD, privacy=house.videos[SECRET_VIDEO].privacy)
    await house.api.viewers.watching(house.videos[VOD], b"a" * 16)
    assert await ended(response) == b""


async def test_a_private_stream_ends_with_its_token(client: TestClient, house: House) -> None:
    path = f"/api/v1/videos/{SECRET_VIDEO}/viewers"
    assert (await client.get(path, headers=EVENTS)).status == 404
    token = house.api.viewer_tokens.issue(SECRET_VIDEO, None, 60_000)
    response = await client.get(f"{path}?viewerToken={token}", headers=EVENTS)
    assert (await event(response))["viewers"] == 0
    house.clock.advance(60_000)
    await house.api.viewers.watching(house.videos[SECRET_VIDEO], b"a" * 16)
    assert await ended(response) == b""


async def test_silence_is_broken_by_comments(house: House, aiohttp_client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "GAP_MS", 1)
    monkeypatch.setattr(pushing, "KEEP_ALIVE_MS", 1)
    client = await aiohttp_client(house.app())
    response = await client.get(f"/api/v1/videos/{VOD}/viewers", headers=EVENTS)
    await event(response)
    async with asyncio.timeout(5):
        assert await response.content.readline() == b": keep-alive\n"
    response.close()


async def test_a_head_is_no_stream(client: TestClient) -> None:
    assert (await client.head(f"/api/v1/videos/{VOD}/viewers", headers=EVENTS)).status == 200


class SlowNumbers:
    """Holds up whoever reads numbers, as a store over the network does, until ``go``."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        read_many = house.store.read_many

        async def slowly(videos: Sequence[int], now_ms: int) -> Sequence[Reading]:
            self.asked.set()
            await self.go.wait()
            return await read_many(videos, now_ms)

        monkeypatch.setattr(house.store, "read_many", slowly)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("how", ["private", "deleted"])
async def test_a_stream_of_a_video_that_is_hidden_ends_without_a_word(
    house: House, database: Database, aiohttp_client, monkeypatch: pytest.MonkeyPatch, how: str, *, elsewhere: bool
) -> None:
    monkeypatch.setattr(pushing, "GAP_MS", 1)
    hiding = house.api.catalog
    if elsewhere:
        # This process hears by and by of what another one does.
        here = Catalog(database, NullAnnouncer(), house.clock, str, "here.example", moved=lambda _: None)
        house.api = replace(house.api, catalog=here)
    client = await aiohttp_client(house.app())
    video = house.videos[VOD]
    await house.api.viewers.watching(video, b"a" * 16)
    response = await client.get(f"/api/v1/videos/{VOD}/viewers", headers=EVENTS)
    assert (await event(response))["viewers"] == 1
    slow = SlowNumbers(house, monkeypatch)
    await house.api.viewers.watching(video, b"b" * 16)
    async with asyncio.timeout(5):
        await slow.asked.wait()
    if how == "private":
        await hiding.put_local(VideoDraft(VOD, "A video", 600, privacy=Privacy.PRIVATE))
    else:
        await hiding.delete(video)
    await house.api.viewers.forget_video(video.number)
    slow.go.set()
    assert await ended(response) == b""
