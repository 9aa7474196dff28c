"""Every POST that was recorded, said to us over a real socket at its own time, and how we answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from support.inbox_house import House
from support.recorded import Exchange, exchange_names, load_actor, load_exchange
from support.wire import Answer, raw_request, send_raw

from federation.peers import PeerPolicy
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from inbox.pipeline import RETRY_AFTER_STORAGE_S

PEERTUBES = ("http://127.0.0.1:9001", "http://127.0.0.1:9002", "http://127.0.0.1:9105")
ACTORS = [f"{base}/accounts/peertube" for base in PEERTUBES] + [
    "http://127.0.0.1:9001/accounts/root",
    "http://127.0.0.1:9001/video-channels/root_channel",
    "http://127.0.0.1:9002/accounts/root",
    "http://127.0.0.1:9002/video-channels/root_channel",
    "http://127.0.0.1:9105/accounts/alice",
]
VIDEOS = {
    "769a1aec-66f1-420f-a6ba-66e89a533026": "http://127.0.0.1:9001",
    "ce4c6402-93c2-48e2-9d0c-27d191760ee2": "http://127.0.0.1:9001",
    "298a1163-f27c-43bb-8f3d-61d2df43990f": "http://127.0.0.1:9001",
    "a8ccd5e6-95b5-4e28-936b-266b5bbf9fa2": "http://127.0.0.1:9002",
    "976b008d-6b2a-4598-a342-c9ec2fed4d90": "http://127.0.0.1:9105",
    "1777fe4a-1b18-4a87-b324-246233fae085": "http://127.0.0.1:9105",
}
"""Which of the recorded videos is whose."""

APPLIED = (204, "")
FORWARDED, UNSUPPORTED = (202, "forwarded"), (202, "unsupported_type")
FIRST = "769a1aec-66f1-420f-a6ba-66e89a533026"
SECOND = "a8ccd5e6-95b5-4e28-936b-266b5bbf9fa2"
LAST = "976b008d-6b2a-4598-a342-c9ec2fed4d90"
RECORDER_VIDEO = "1777fe4a-1b18-4a87-b324-246233fae085"


@dataclass(frozen=True, slots=True)
class Row:
    """How one recorded POST is answered, and which number it leaves behind: viewers of a video, or counted views."""

    number: str
    outcome: tuple[int, str]
    video: str = FIRST
    viewers: int = 0
    views: int = 0


ROWS = [
    Row("06", APPLIED),
    Row("07", APPLIED),
    Row("09", APPLIED),
    Row("10", APPLIED),
    Row("11", APPLIED),
    Row("12", APPLIED),
    Row("13", APPLIED),
    Row("14", APPLIED),
    Row("28", APPLIED, viewers=1),
    Row("29", APPLIED, viewers=1),
    Row("30", APPLIED, viewers=2),
    Row("31", APPLIED, viewers=3),
    Row("32", APPLIED, viewers=2),
    Row("33", FORWARDED),
    # A remote video's counted total is what its origin's documents say: a View adds to the hours only.
    Row("34", APPLIED),
    Row("35", APPLIED, views=1),
    Row("36", FORWARDED),
    Row("37", APPLIED, viewers=1),
    Row("38", APPLIED, SECOND, viewers=1),
    Row("39", APPLIED),
    Row("40", APPLIED, SECOND),
    Row("43", APPLIED, views=5),  # what the document says
    Row("44", APPLIED),
    Row("45", UNSUPPORTED),
    Row("46", UNSUPPORTED),
    Row("47", UNSUPPORTED),
    Row("48", UNSUPPORTED),
    Row("49", FORWARDED),
    Row("50", UNSUPPORTED),
    Row("51", APPLIED),
    Row("52", APPLIED),
    Row("53", APPLIED),
    Row("58", APPLIED, RECORDER_VIDEO, viewers=1),
    Row("59", APPLIED, RECORDER_VIDEO, views=1),
    Row("60", APPLIED, RECORDER_VIDEO),
    Row("61", APPLIED),
    Row("62", APPLIED),
    Row("63", APPLIED, LAST),
    Row("64", APPLIED, viewers=1),
    Row("65", APPLIED, LAST, viewers=42),
    Row("66", APPLIED, viewers=1),
    Row("67", APPLIED, viewers=1),  # PeerTube fails over ``totalItems`` as a number
    Row("68", (401, "stale")),
    Row("69", (401, "no_digest")),
    Row("70", (401, "bad_digest")),
    Row("71", (401, "wrong_signature")),
    Row("72", (401, "no_date")),
    Row("73", (401, "no_signature")),
    Row("74", FORWARDED),  # PeerTube looks for a JSON-LD signature, and refuses
    Row("75", APPLIED, viewers=1),
]


def posts() -> list[str]:
    return [name[:2] for name in exchange_names() if load_exchange(name).method == "POST"]


def test_nothing_of_the_recording_is_left_out() -> None:
    assert [row.number for row in ROWS] == posts()


def late_ms(exchange: Exchange) -> int:
    """How long the recorded message was on its way: 68 was sent with a clock half an hour behind."""
    return 31 * 60_000 if exchange.name.startswith("68") else 0


async def prepare(house: House, exchange: Exchange) -> None:
    """What the recorded instance knew: all the videos, and whom it followed and was followed by."""
    for uuid, base in VIDEOS.items():
        await (house.local(uuid) if base == house.base else house.remote(base, uuid, views=0))
    answered = exchange.json["type"] == "Accept"
    for base in PEERTUBES:
        if base != house.base:
            actor = f"{base}/accounts/peertube"
            await house.follow(actor, accepted=not answered)
            if exchange.json["type"] == "Undo":
                await house.followed_by(actor, exchange.json["object"]["id"])


async def house_for(exchange: Exchange, database: Database, clock: ManualClock, **how: Any) -> House:
    clock.set_wall(exchange.date_ms + late_ms(exchange))
    documents = {url: load_actor(url) for url in ACTORS}
    return await House(
        database, clock, base=f"http://{exchange.header('host')}", documents=documents, max_items=100, **how
    ).start()


Say = Callable[[House, Exchange], Awaitable[Answer]]


@pytest.fixture
async def say() -> AsyncIterator[Say]:
    """Send a recorded request, byte for byte, to a listening server of this house."""
    servers: list[TestServer] = []

    async def send(house: House, exchange: Exchange) -> Answer:
        server = TestServer(house.app())
        servers.append(server)
        await server.start_server()
        assert server.port is not None
        return await send_raw("127.0.0.1", server.port, raw_of(exchange))

    yield send
    for server in servers:
        await server.close()


def raw_of(exchange: Exchange) -> bytes:
    return raw_request(exchange.method, exchange.path, exchange.headers, exchange.body)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: load_exchange(row.number).name)
async def test_what_was_recorded(row: Row, database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange(row.number)
    house = await house_for(exchange, database, clock)
    await prepare(house, exchange)
    answer = await say(house, exchange)
    assert (answer.status, answer.reason) == row.outcome
    video = await house.catalog.by_uuid(row.video)
    assert video is not None
    assert (await house.number(video), await house.counted(video)) == (row.viewers, row.views)
    assert house.reasons() == ([row.outcome[1]] if row.outcome[1] else [])
    assert all(url in ACTORS for url in house.web.asked)
    assert len(house.spoke) == (0 if row.outcome[0] == 401 else 1)


@pytest.mark.parametrize("row", [row for row in ROWS if row.outcome[0] < 300], ids=lambda row: row.number)
async def test_the_same_again_changes_nothing(row: Row, database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange(row.number)
    house = await house_for(exchange, database, clock)
    await prepare(house, exchange)
    await say(house, exchange)
    followers = house.peers.followers()
    again = await say(house, exchange)
    assert again.status in (202, 204)
    video = await house.catalog.by_uuid(row.video)
    assert video is not None
    assert (await house.number(video), await house.counted(video)) == (row.viewers, row.views)
    assert house.peers.followers() == followers


async def test_06_is_accepted_into_the_followers_own_inbox(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("06")
    house = await house_for(exchange, database, clock)
    assert (await say(house, exchange)).status == 204
    them = "http://127.0.0.1:9002/accounts/peertube"
    assert house.answers.given == [
        (f"{them}/follows/4", f"{them}/inbox", "http://127.0.0.1:9001/accounts/peertube", True)
    ]
    assert [(one.host, one.inbox) for one in house.peers.followers()] == [
        ("127.0.0.1:9002", "http://127.0.0.1:9002/inbox")
    ]


async def test_07_makes_us_a_follower(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("07")
    house = await house_for(exchange, database, clock)
    await prepare(house, exchange)
    assert not house.peers.follows("127.0.0.1:9001")
    assert (await say(house, exchange)).status == 204
    assert house.peers.follows("127.0.0.1:9001")


@pytest.mark.parametrize("number", ["13", "14"])
async def test_an_announced_video_is_fetched_from_where_it_lives(
    number: str, database: Database, clock: ManualClock, say: Say
) -> None:
    exchange, document = load_exchange(number), load_exchange("17")
    house = await house_for(exchange, database, clock)
    await house.follow("http://127.0.0.1:9001/accounts/peertube")
    url = exchange.json["object"]
    house.web.documents[url] = json.loads(document.response_body)
    assert (await say(house, exchange)).status == 204
    video = await house.catalog.by_url(url)
    assert video is not None
    assert (video.uuid, video.owner) == (FIRST, "http://127.0.0.1:9001/accounts/root")
    assert video.channel == "http://127.0.0.1:9001/video-channels/root_channel"


async def test_44_renames_and_51_deletes(database: Database, clock: ManualClock, say: Say) -> None:
    update, delete = load_exchange("44"), load_exchange("51")
    house = await house_for(update, database, clock)
    await prepare(house, update)
    url = update.json["object"]["id"]
    assert (await say(house, update)).status == 204
    video = await house.catalog.by_url(url)
    assert video is not None
    assert video.name == update.json["object"]["name"]
    clock.set_wall(delete.date_ms)
    assert (await say(house, delete)).status == 204
    assert await house.catalog.by_url(url) is None


async def test_52_ends_a_follow(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("52")
    house = await house_for(exchange, database, clock)
    await house.followed_by("http://127.0.0.1:9001/accounts/peertube", exchange.json["object"]["id"])
    assert (await say(house, exchange)).status == 204
    assert house.peers.followers() == ()


# What is refused before anything is looked at, and what happens when the ground is gone


async def test_a_blocked_host_costs_no_fetch(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("28")
    house = await house_for(exchange, database, clock, policies=[PeerPolicy("127.0.0.1:9002", blocked=True)])
    answer = await say(house, exchange)
    assert (answer.status, answer.reason) == (403, "blocked")
    assert house.web.asked == []
    entry = house.quarantine.newest(1)[0]
    assert (entry.host, entry.verified) == ("127.0.0.1:9002", False)


async def test_closed_federation_knows_the_listed_only(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("28")
    house = await house_for(exchange, database, clock, open_federation=False, policies=[PeerPolicy("127.0.0.1:9105")])
    answer = await say(house, exchange)
    assert (answer.status, answer.reason) == (403, "not_listed")
    assert house.web.asked == []


async def test_one_host_and_one_address_have_their_quota(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("28")
    house = await house_for(exchange, database, clock, requests=2)
    await house.local(FIRST)
    answers = [await say(house, exchange) for _ in range(3)]
    assert [answer.status for answer in answers] == [204, 204, 429]
    assert answers[2].reason == "too_many_requests"
    assert answers[2].headers["retry-after"] == "10"


async def test_a_message_larger_than_allowed_is_not_read(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("28")
    house = await house_for(exchange, database, clock, max_body_bytes=len(exchange.body) - 1)
    answer = await say(house, exchange)
    assert (answer.status, answer.reason) == (413, "body_too_large")


async def test_when_the_store_is_gone_the_sender_is_to_try_again(
    database: Database, clock: ManualClock, say: Say
) -> None:
    exchange = load_exchange("35")
    house = await house_for(exchange, database, clock)
    await house.local(FIRST)

    async def broken(*_: object) -> bool:
        raise StorageUnavailable("the disk is full")

    house.counter.count_remote = broken  # type: ignore[method-assign,assignment]
    answer = await say(house, exchange)
    assert (answer.status, answer.reason) == (503, "storage_unavailable")
    assert answer.headers["retry-after"] == str(RETRY_AFTER_STORAGE_S)


async def test_an_inbox_that_is_nobodys(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("06")
    house = await house_for(exchange, database, clock)
    server = TestServer(house.app())
    await server.start_server()
    assert server.port is not None
    raw = raw_request("POST", "/accounts/nobody/inbox", exchange.headers, exchange.body)
    assert (await send_raw("127.0.0.1", server.port, raw)).status == 404
    await server.close()
    assert house.reasons() == []


async def test_an_actor_that_is_gone_says_so_by_being_gone(database: Database, clock: ManualClock, say: Say) -> None:
    exchange = load_exchange("51")
    house = await house_for(exchange, database, clock)
    house.web.documents.clear()
    answer = await say(house, exchange)
    # It deletes a video and not itself: unproven, refused.
    assert (answer.status, answer.reason) == (401, "actor_gone")
