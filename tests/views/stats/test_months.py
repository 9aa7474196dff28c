"""PostgreSQL keeps stays and hours by the month: made ahead, looked into only where it is needed, gone as a whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from functools import partial

import pytest
from sqlalchemy import func, select, text

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from foundation.partitions import Month
from tests.views.stats.stats_house import House, only, stay
from tests.views.stats.test_statistics import DAY, HOUR, NOON, hold_against, hold_retention_against
from views.stats import cleaner as cleaning
from views.stats.cleaner import Cleaner
from views.stats.model import Stay, Traits
from views.stats.tables import STAYS, stay_ids, viewer_stays
from views.tables import HOURS

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    clock.set_wall(NOON + 100 * DAY)
    return House(database, clock, metrics)


@pytest.fixture
async def other(database_url: str, clock: ManualClock, database: Database) -> AsyncIterator[Database]:
    """The same database, as another process sees it."""
    opened = await Database.open(database_url, clock=clock, metrics=Metrics())
    yield opened
    await opened.close()


async def parts(db: Database, table: str = "viewer_stays") -> list[str]:
    asked = text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:t AS text)::regclass")
    async with db.read() as tx:
        return sorted((await tx.execute(asked, {"t": table})).scalars())


async def count(db: Database, table: str) -> int:
    async with db.read() as tx:
        return int((await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


def spread(video: int, seed: int = 1, number: int = 60) -> list[Stay]:
    """Over three months before now, some across the end of one."""
    chance = random.Random(seed)
    found = []
    for at in range(number):
        start = NOON + chance.randrange(95 * DAY)
        traits = Traits("FR", "Paris", chance.choice(("Firefox", "Chrome")))
        found.append(stay(video, start, start + chance.randrange(4 * DAY), traits=traits, sections=((at, at + 9),)))
    return found


class TestMonth:
    @pytest.mark.parametrize("at_ms", [0, -1, NOON, 2**62, -(2**62), 1_709_164_800_000])
    def test_each_begins_where_the_one_before_it_ends(self, at_ms: int, database_url: str) -> None:
        month = Month.of(at_ms)
        assert month.begins_ms < month.next.begins_ms
        assert Month.of(month.begins_ms) == Month.of(month.next.begins_ms - 1) == month

    def test_a_year_has_twelve(self, database_url: str) -> None:
        assert Month(2025, 12).next == (2026, 1)
        assert Month(2024, 2).next.begins_ms - Month(2024, 2).begins_ms == 29 * DAY


async def test_months_are_made_ahead_once_by_all_processes(database: Database, other: Database) -> None:
    december = Month(2025, 12).begins_ms
    await asyncio.gather(*(each.ahead(db, december) for each in (STAYS, HOURS) for db in (database, other, database)))
    kinds = [f"{kind}_{month}" for kind in ("local", "remote") for month in ("2025_12", "2026_01", "2026_02")]
    assert await parts(database) == [f"viewer_stays_{kind}" for kind in kinds]
    assert await parts(database, "video_views") == [f"video_views_{kind}" for kind in kinds]


async def test_a_row_of_any_month_finds_its_place(house: House, database: Database, other: Database) -> None:
    """Written by two processes at once, none of whose months are there."""
    video = await house.video()
    elsewhere = House(other, house.clock, Metrics())
    await asyncio.gather(
        *(each.recorder.save(spread(video.number, seed)) for seed, each in ((1, house), (2, elsewhere)))
    )
    assert await count(database, "viewer_stays") == 120
    months = {name.removeprefix("viewer_stays_local_") for name in await parts(database)}
    async with database.read() as tx:
        ends = (await tx.execute(select(viewer_stays.c.end_ms))).scalars()
        assert {f"{month.year}_{month.month:02}" for month in map(Month.of, ends)} == months


async def test_a_global_id_is_taken_once_in_all_months(house: House, database: Database, other: Database) -> None:
    video, url = await house.video(), "https://far.example/videos/local-viewer/1"
    elsewhere = House(other, house.clock, Metrics())
    said = [stay(video.number, NOON, NOON + at * 40 * DAY, url=url, source="far.example") for at in (0, 1, 2)]
    taken = await asyncio.gather(*(each.recorder.save_remote(one) for one in said for each in (house, elsewhere)))
    assert taken.count(True) == 1
    assert await count(database, "viewer_stays") == 1
    assert await house.recorder.find(url) in said


async def test_an_old_month_goes_without_deleting_its_rows(house: House, database: Database) -> None:
    video = await house.video()
    stays = spread(video.number)
    await house.recorder.save(stays)
    before = Month.of(house.clock.now_ms() - 60 * DAY).begins_ms
    kept = [each for each in stays if each.end_ms >= before]
    assert 0 < len(kept) < len(stays)
    assert await house.cleaner.purge(local_max_age_ms=60 * DAY, remote_max_age_ms=None) == len(stays) - len(kept)
    await hold_against(house, only(video), kept, None, None)
    await hold_against(house, only(video), kept, NOON + 30 * DAY + 1234, NOON + 90 * DAY + 777)
    await hold_retention_against(house, video.number, kept)
    assert await count(database, "stay_ids") == len(kept)
    assert await parts(database) == sorted({STAYS.name_of(True, Month.of(each.end_ms)) for each in kept})
    # The writing connection tells its counts at once.
    await database.write(lambda tx: tx.execute(text("SELECT pg_stat_force_next_flush()")))
    async with database.read() as tx:
        assert await STAYS.detached(tx, True) == []
        # What a DELETE would have left behind to be vacuumed.
        dead = text(
            "SELECT coalesce(sum(n_tup_del), 0) FROM pg_stat_user_tables WHERE starts_with(relname, 'viewer_s')"
        )
        assert (await tx.execute(dead)).scalar_one() == 0


async def test_who_is_killed_in_the_middle_has_it_finished_by_another(
    house: House, database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums lose every stay once, by two that go on at the same time as well."""
    monkeypatch.setattr("views.stats.cleaner.BATCH", 3)
    video = await house.video()
    stays = spread(video.number)
    await house.recorder.save(stays)
    before = Month.of(house.clock.now_ms() - 60 * DAY).begins_ms
    kept = [each for each in stays if each.end_ms >= before]
    await database.write(partial(STAYS.detach_old, kind=True, before_ms=before))
    async with database.read() as tx:
        hidden = (await STAYS.detached(tx, True))[0]
    assert await database.write(partial(cleaning._read_off, name=hidden, counted=True)) == 3
    both = [Cleaner(db, house.clock).purge(local_max_age_ms=None, remote_max_age_ms=None) for db in (database, other)]
    forgotten = await asyncio.gather(*both)
    assert sum(forgotten) == len(stays) - len(kept) - 3
    await hold_against(house, only(video), kept, None, None)
    await hold_retention_against(house, video.number, kept)


async def test_what_comes_late_for_a_month_that_goes_is_kept_until_its_turn(house: House, database: Database) -> None:
    video = await house.video()
    await house.recorder.save([stay(video.number, NOON, NOON + HOUR)])
    await database.write(partial(STAYS.detach_old, kind=True, before_ms=NOON + 60 * DAY))
    late = stay(video.number, NOON, NOON + HOUR)
    assert await house.recorder.save([late]) == 1
    # The one that is hidden already is finished first.
    assert await house.cleaner.purge(local_max_age_ms=60 * DAY, remote_max_age_ms=None) == 1
    assert await house.cleaner.purge(local_max_age_ms=60 * DAY, remote_max_age_ms=None) == 1
    assert await count(database, "viewer_stays") == await count(database, "stay_ids") == 0


async def test_nobody_waits_long_for_a_month_to_go(
    house: House, database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody reads for long it stays, and whoever writes beside does not notice."""
    monkeypatch.setattr("foundation.partitions.LOCK_TIMEOUT_MS", 50)
    video = await house.video()
    await house.recorder.save([stay(video.number, NOON, NOON)])
    detach = partial(STAYS.detach_old, kind=True, before_ms=NOON + 60 * DAY)
    async with other.read() as tx:
        await tx.execute(select(func.count()).select_from(viewer_stays))
        beside = [house.recorder.save([stay(video.number, NOON + at, NOON + at)]) for at in (1, 2)]
        hidden, *saved = await asyncio.gather(database.write(detach), *beside)
        assert hidden == []
        assert saved == [1, 1]
        timeout = await database.write(lambda tx: tx.scalar(text("SHOW lock_timeout")))
        assert timeout == "0"
    assert len(await database.write(detach)) == 1


async def test_kinds_have_ages_of_their_own(house: House, database: Database) -> None:
    video = await house.video()
    await house.recorder.save([stay(video.number, NOON, NOON)])
    await database.write(lambda tx: tx.execute(text("UPDATE videos SET local = false")))
    theirs = stay(video.number, NOON, NOON)
    await house.recorder.save([theirs])
    assert await house.cleaner.purge(local_max_age_ms=None, remote_max_age_ms=30 * DAY) == 1
    assert await parts(database) == [STAYS.name_of(True, Month.of(NOON))]
    assert await house.recorder.find(theirs.url) is None
    async with database.read() as tx:
        assert (await tx.execute(select(func.count()).select_from(stay_ids))).scalar_one() == 1


async def test_questions_look_only_into_the_months_they_are_about(house: House, database: Database) -> None:
    video = await house.video()
    await house.recorder.save(spread(video.number))
    middle = NOON + 50 * DAY
    asked = (
        "EXPLAIN SELECT count(*) FROM viewer_stays WHERE video_number = 1 AND local"
        f" AND end_ms >= {middle} AND end_ms < {middle + HOUR}"
    )
    async with database.read() as tx:
        plan = "\n".join((await tx.execute(text(asked))).scalars())
    looked = {name for name in await parts(database) if name in plan}
    assert looked == {STAYS.name_of(True, Month.of(middle))}
