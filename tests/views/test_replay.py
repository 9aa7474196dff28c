from __future__ import annotations

import uuid
from dataclasses import dataclass

import pytest
from aiohttp.test_utils import TestClient
from catalogs import RecordingAnnouncer, a_local, make_catalog
from rest_house import CLIPS, HOST, LIVE, SECRET_VIDEO, SHORT, UNKNOWN, VOD, House, build, remote_video
from sqlalchemy import select

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from views import tallies
from views.catalog.catalog import Catalog
from views.model import Privacy, Video
from views.replay import Carried, Replays
from views.tables import video_views, videos
from views.tallies import HOUR_MS, CountedView


@dataclass
class Stage:
    """A live stream, the video of its replay, and who hears of them."""

    db: Database
    clock: ManualClock
    catalog: Catalog
    announcer: RecordingAnnouncer
    replays: Replays
    live: Video
    replay: Video

    async def count(self, video: Video, views: int) -> None:
        view = CountedView(video, self.clock.now_ms(), view_id=str(uuid.uuid4()))
        await self.db.write(lambda tx: tallies.add_views(tx, [view] * views))

    async def hours(self, video: Video) -> dict[int, int]:
        async with self.db.read() as tx:
            rows = await tx.execute(select(video_views).where(video_views.c.video_number == video.number))
            return {row.hour_ms: row.views for row in rows}

    async def carry(self) -> Carried:
        carried = await self.replays.carry(self.live, self.replay)
        assert isinstance(carried, Carried)
        return carried


@pytest.fixture
async def stage(database: Database, clock: ManualClock) -> Stage:
    announcer = RecordingAnnouncer()
    catalog = make_catalog(database, clock, announcer)
    live = await a_local(catalog, is_live=True, duration_s=0)
    replay = await a_local(catalog, uuid=VOD.replace("9c", "aa"))
    announcer.take()
    return Stage(database, clock, catalog, announcer, Replays(database, catalog, announcer, clock), live, replay)


async def test_views_and_their_hours_move_and_both_totals_are_told(stage: Stage) -> None:
    first_hour = tallies.hour_of(stage.clock.now_ms())
    await stage.count(stage.live, 3)
    await stage.count(stage.replay, 1)
    stage.clock.advance(HOUR_MS)
    await stage.count(stage.live, 2)
    carried = await stage.carry()
    assert (carried.views, carried.live.views, carried.replay.views) == (5, 0, 6)
    assert await stage.hours(stage.live) == {}
    assert await stage.hours(stage.replay) == {first_hour: 4, first_hour + HOUR_MS: 2}
    assert stage.announcer.take() == ["moved", "moved"]
    assert {video.uuid: video.views for video in stage.announcer.moved} == {stage.live.uuid: 0, stage.replay.uuid: 6}
    assert all(video.updated_ms > stage.live.updated_ms for video in stage.announcer.moved)
    assert stage.catalog.peek(stage.replay.uuid) == carried.replay
    async with stage.db.read() as tx:
        rows = await tx.execute(select(videos.c.views, videos.c.views_announced))
        assert sorted(tuple(row) for row in rows) == [(0, 0), (6, 6)]


async def test_saying_it_again_moves_what_came_since(stage: Stage) -> None:
    await stage.count(stage.live, 2)
    await stage.carry()
    stage.announcer.take()
    again = await stage.carry()
    assert (again.views, again.replay.views) == (0, 2)
    assert stage.announcer.take() == []
    await stage.count(stage.live, 1)
    assert (await stage.carry()).replay.views == 3


async def test_a_private_replay_is_told_to_nobody(stage: Stage) -> None:
    stage.replay = await a_local(stage.catalog, uuid=stage.replay.uuid, privacy=Privacy.PRIVATE)
    stage.announcer.take()
    await stage.count(stage.live, 2)
    assert (await stage.carry()).replay.views == 2
    assert [video.uuid for video in stage.announcer.moved] == [stage.live.uuid]


async def test_stays_move_first_and_the_views_only_after_them(stage: Stage) -> None:
    moved: list[tuple[int, int]] = []

    async def move(live: int, replay: int) -> int:
        moved.append((live, replay))
        return 7

    async def fail(_live: int, _replay: int) -> int:
        raise StorageUnavailable("gone")

    await stage.count(stage.live, 2)
    broken = Replays(stage.db, stage.catalog, stage.announcer, stage.clock, fail)
    with pytest.raises(StorageUnavailable):
        await broken.carry(stage.live, stage.replay)
    assert await stage.hours(stage.replay) == {}
    stage.replays = Replays(stage.db, stage.catalog, stage.announcer, stage.clock, move)
    carried = await stage.carry()
    assert (carried.views, carried.stays) == (2, 7)
    assert moved == [(stage.live.number, stage.replay.number)]


async def test_what_cannot_be_carried(stage: Stage) -> None:
    for live, replay in ((stage.replay, stage.live), (stage.live, stage.live), (stage.replay, stage.replay)):
        verdict = await stage.replays.carry(live, replay)
        assert isinstance(verdict, Refused)
        assert verdict.status == 409
    await stage.catalog.delete(stage.replay)
    verdict = await stage.replays.carry(stage.live, stage.replay)
    assert isinstance(verdict, Refused)
    assert verdict.status == 404


# Over REST


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return await build(database, clock, metrics)


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def test_a_host_application_says_it(client: TestClient, house: House) -> None:
    await house.api.counter.count_local(house.videos[LIVE], b"a" * 16)
    response = await client.post(f"/api/v1/videos/{LIVE}/replay", json={"replay": VOD}, headers=HOST)
    assert response.status == 200
    assert await response.json() == {
        "live": {"uuid": LIVE, "views": 0},
        "replay": {"uuid": VOD, "views": 1},
        "moved": {"views": 1, "viewers": 0},
    }
    shown = await (await client.get(f"/api/v1/videos/{VOD}")).json()
    assert shown["views"] == 1


@pytest.mark.parametrize(
    ("live", "body", "headers", "status"),
    [
        (LIVE, {"replay": VOD}, {}, 401),
        (LIVE, {"replay": VOD}, CLIPS, 403),
        ("!", {"replay": VOD}, HOST, 400),
        (UNKNOWN, {"replay": VOD}, HOST, 404),
        (LIVE, {"replay": UNKNOWN}, HOST, 404),
        (LIVE, {"replay": "!"}, HOST, 400),
        (LIVE, {"replay": 5}, HOST, 400),
        (LIVE, {}, HOST, 400),
        (LIVE, [], HOST, 400),
        (VOD, {"replay": SHORT}, HOST, 409),
        (LIVE, {"replay": LIVE}, HOST, 409),
        (LIVE, {"replay": remote_video().uuid}, HOST, 403),
        (LIVE, {"replay": SECRET_VIDEO}, HOST, 200),
    ],
)
async def test_what_is_answered(
    client: TestClient, house: House, live: str, body: object, headers: dict[str, str], status: int
) -> None:
    await house.api.catalog.put_remote(remote_video())
    response = await client.post(f"/api/v1/videos/{live}/replay", json=body, headers=headers)
    assert response.status == status
