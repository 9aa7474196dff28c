from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient
from catalogs import REMOTE_UUID, a_local, a_remote, make_catalog
from rest_house import HOST, SECRET_VIDEO, VOD, House, build
from sqlalchemy import func, select

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.resume import ResumePositions
from views.tables import resume_positions

DAY_MS = 86_400_000


@pytest.fixture
def positions(database: Database, clock: ManualClock, metrics: Metrics) -> ResumePositions:
    return ResumePositions(database, b"s" * 32, clock, metrics, max_age_ms=90 * DAY_MS, max_waiting=3)


async def rows(database: Database) -> int:
    async with database.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(resume_positions))).scalar_one())


async def at(positions: ResumePositions, user: str, video: int) -> int | None:
    kept = await positions.read(user, video)
    return None if kept is None else kept.position_s


async def test_the_last_position_is_kept_per_user_and_video(
    positions: ResumePositions, database: Database, clock: ManualClock
) -> None:
    catalog = make_catalog(database, clock)
    one, other = (await a_local(catalog)).number, (await a_remote(catalog)).number
    await positions.note("anna", one, 5)
    await positions.note("anna", one, 10)
    await positions.note("anna", other, 7)
    await positions.note("bert", one, 99)
    assert await rows(database) == 0
    assert await at(positions, "anna", one) == 10
    assert await positions.flush() == 3
    assert await positions.flush() == 0
    assert await rows(database) == 3
    await positions.note("anna", one, 4)
    await positions.flush()
    assert [await at(positions, "anna", number) for number in (one, other)] == [4, 7]
    assert await at(positions, "bert", one) == 99
    assert await at(positions, "carl", one) is None


async def test_a_user_that_leaves_is_written_at_once(
    positions: ResumePositions, database: Database, clock: ManualClock
) -> None:
    number = (await a_local(make_catalog(database, clock))).number
    await positions.note("anna", number, 5, leave=True)
    assert await rows(database) == 1
    async with database.read() as tx:
        [row] = await tx.execute(select(resume_positions))
    assert len(row.user_hash) == 16
    assert b"anna" not in row.user_hash


async def test_what_is_forgotten_does_not_come_back(
    positions: ResumePositions, database: Database, clock: ManualClock
) -> None:
    number = (await a_local(make_catalog(database, clock))).number
    await positions.note("anna", number, 5, leave=True)
    await positions.note("anna", number, 6)
    await positions.forget("anna", number)
    await positions.flush()
    assert await at(positions, "anna", number) is None
    assert await rows(database) == 0


async def test_memory_is_bounded(
    positions: ResumePositions, database: Database, clock: ManualClock, metrics: Metrics
) -> None:
    number = (await a_local(make_catalog(database, clock))).number
    for user in "abcde":
        await positions.note(user, number, 1)
    await positions.note("a", number, 2)
    assert metrics.registry.get_sample_value("fediviews_resume_positions_waiting") == 3
    assert metrics.registry.get_sample_value("fediviews_resume_positions_lost_total") == 2
    assert await at(positions, "a", number) == 2
    await positions.flush()
    await positions.note("d", number, 1)
    assert await positions.flush() == 1


async def test_a_deleted_video_takes_nothing_else_with_it(
    positions: ResumePositions, database: Database, clock: ManualClock
) -> None:
    catalog = make_catalog(database, clock)
    gone, stays = await a_local(catalog), await a_remote(catalog)
    await positions.note("anna", gone.number, 1, leave=True)
    await positions.note("anna", gone.number, 5)
    await positions.note("anna", stays.number, 5)
    await catalog.delete(gone)
    await positions.flush()
    assert await rows(database) == 1
    await positions.note("anna", stays.number, 9)
    positions.forget_video(stays.number)
    assert await positions.flush() == 0


async def test_a_database_that_is_gone_loses_nothing(
    positions: ResumePositions, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = (await a_local(make_catalog(database, clock))).number
    write = database.write

    async def gone(_work):
        raise StorageUnavailable("gone")

    monkeypatch.setattr(database, "write", gone)
    await positions.note("anna", number, 5, leave=True)
    with pytest.raises(StorageUnavailable):
        await positions.flush()
    assert await at(positions, "anna", number) == 5
    monkeypatch.setattr(database, "write", write)
    assert await positions.flush() == 1
    assert await at(positions, "anna", number) == 5


async def test_old_positions_go(positions: ResumePositions, database: Database, clock: ManualClock) -> None:
    catalog = make_catalog(database, clock)
    old, new = (await a_local(catalog)).number, (await a_remote(catalog)).number
    await positions.note("anna", old, 5, leave=True)
    clock.advance(60 * DAY_MS)
    await positions.note("anna", new, 5, leave=True)
    assert await positions.purge() == 0
    clock.advance(31 * DAY_MS)
    assert await at(positions, "anna", old) is None
    assert await positions.purge() == 1
    assert await at(positions, "anna", new) == 5


async def test_never_keeps_them_for_good(database: Database, clock: ManualClock, metrics: Metrics) -> None:
    number = (await a_local(make_catalog(database, clock))).number
    positions = ResumePositions(database, b"s" * 32, clock, metrics, max_age_ms=None)
    await positions.note("anna", number, 5, leave=True)
    clock.advance(10_000 * DAY_MS)
    assert await positions.purge() == 0
    assert await at(positions, "anna", number) == 5


# Over REST


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return await build(database, clock, metrics)


@pytest.fixture
async def client(house: House, aiohttp_client) -> TestClient:
    return await aiohttp_client(house.app())


async def token(client: TestClient, video: str, user: str | None = "anna") -> dict[str, str]:
    body = {} if user is None else {"user": user}
    response = await client.post(f"/api/v1/videos/{video}/viewer-tokens", json=body, headers=HOST)
    return {"X-Viewer-Token": (await response.json())["token"]}


@pytest.mark.parametrize("video", [VOD, SECRET_VIDEO])
async def test_a_user_goes_on_where_it_was(client: TestClient, video: str) -> None:
    anna, path = await token(client, video), f"/api/v1/videos/{video}/resume"
    assert await (await client.get(path, headers=anna)).json() == {"currentTime": None, "updatedAt": None}
    for position in (5, 42):
        report = {"currentTime": position, "viewerToken": anna["X-Viewer-Token"]}
        assert (await client.post(f"/api/v1/videos/{video}/views", json=report)).status == 204
    response = await client.get(path, headers=anna)
    assert response.headers["Cache-Control"] == "no-store"
    assert (await response.json())["currentTime"] == 42
    assert (await (await client.get(path, headers=await token(client, video, "bert"))).json())["currentTime"] is None
    response = await client.delete(path, headers=anna)
    assert response.status == 204
    assert (await (await client.get(path, headers=anna)).json())["currentTime"] is None


async def test_who_may_not_ask(client: TestClient) -> None:
    path = f"/api/v1/videos/{VOD}/resume"
    assert (await client.get(path)).status == 401
    assert (await client.get(path, headers=HOST)).status == 401
    assert (await client.get(path, headers={"Authorization": "Bearer nonsense"})).status == 401
    assert (await client.get(path, headers={"X-Viewer-Token": "fvt1.x.y"})).status == 401
    assert (await client.get(path, headers=await token(client, VOD, None))).status == 403
    assert (await client.delete(path, headers=await token(client, SECRET_VIDEO))).status == 401
    elsewhere = f"/api/v1/videos/{REMOTE_UUID}/resume"
    assert (await client.get(elsewhere, headers=await token(client, VOD))).status == 401


async def test_a_nameless_viewer_leaves_no_trace(client: TestClient, house: House, database: Database) -> None:
    nameless = await token(client, VOD, None)
    await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 5}, headers=nameless)
    await client.post(f"/api/v1/videos/{VOD}/views", json={"currentTime": 5, "sessionId": "x"})
    assert house.api.resume is not None
    assert await house.api.resume.flush() == 0
    assert await rows(database) == 0
