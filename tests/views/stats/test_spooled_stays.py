"""Stays while the database is gone: on the disk instead of in the live store, and rows once when it is back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import OutcomeUnknown, StorageUnavailable
from foundation.metrics import Metrics
from foundation.spool import Spool, SpoolSettings
from tests.views.stats.stats_house import SECRET, House, stay
from views.sections import Rules, begin, encode, report
from views.stats.recorder import Recorder
from views.stats.tables import viewer_stays

EVERY_DATABASE = True
LIFETIME_MS = 3_600_000


class Flaky:
    """Its writes fail when told so: before they are done, or (``unheard``) after."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.gone = self.unheard = False

    async def write(self, work: Callable[[Any], Awaitable[Any]], *, patience_ms: int | None = None) -> Any:
        if self.gone:
            raise StorageUnavailable("gone")
        result = await self._database.write(work)
        if self.unheard:
            raise OutcomeUnknown("lost")
        return result

    async def write_together(self, work: Any, item: Any, *, patience_ms: int | None = None) -> Any:
        async def alone(tx: Any) -> Any:
            return (await work(tx, [item]))[0]

        return await self.write(alone)


@pytest.fixture
async def house(database: Database, clock: ManualClock, metrics: Metrics) -> House:
    return House(database, clock, metrics)


@pytest.fixture
def flaky(database: Database) -> Flaky:
    return Flaky(database)


@pytest.fixture
async def spool(tmp_path: Path, flaky: Flaky, clock: ManualClock) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool", flaky, clock, Metrics(), SpoolSettings(retry_ms=86_400_000))  # type: ignore[arg-type]
    await spool.start()
    yield spool
    await spool.stop()


@pytest.fixture
def recorder(house: House, flaky: Flaky, spool: Spool) -> Recorder:
    return Recorder(
        flaky,  # type: ignore[arg-type]
        house.progress,
        house.present,
        house.announcer,
        house.clock,
        Metrics(),
        secret=SECRET,
        stay_url=lambda name: f"https://here.example/videos/local-viewer/{name}",
        spool=spool,
    )


async def watched(house: House, viewers: int) -> None:
    """So many viewers have seen five seconds, and were silent for too long."""
    video = await house.video()
    for number in range(viewers):
        progress = begin(0, house.clock.now_ms(), Rules())
        report(progress, 5, False, house.clock.now_ms() + 5_000, Rules())
        house.progress.put(video.number, number.to_bytes(16, "big"), encode(progress), house.clock.now_ms())
    house.clock.advance(LIFETIME_MS)


async def kept(house: House) -> int:
    async with house.database.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(viewer_stays))).scalar_one())


@pytest.mark.parametrize("unheard", [False, True])
async def test_they_leave_the_live_store_and_become_rows_once(
    house: House, recorder: Recorder, flaky: Flaky, spool: Spool, unheard: bool
) -> None:
    await watched(house, 20)
    flaky.gone, flaky.unheard = not unheard, unheard
    assert await recorder.sweep() == 0
    assert len(house.progress) == 0
    flaky.gone = flaky.unheard = False
    await spool.replay()
    assert await kept(house) == 20
    await watched(house, 0)
    assert await recorder.sweep() == 0


async def test_those_of_peers_are_acknowledged_and_each_kept_once(
    house: House, recorder: Recorder, flaky: Flaky, spool: Spool
) -> None:
    video = await house.video()
    told = stay(video.number, 0, 5_000, source="there.example", url="https://there.example/stays/1", flagged=True)
    flaky.gone = True
    assert await recorder.save_remote(told)
    assert await recorder.save_remote(told)
    flaky.gone = False
    await spool.replay()
    assert await house.recorder.find(told.url) == told
    assert await kept(house) == 1
    assert not await recorder.save_remote(told)


async def test_what_finds_no_room_waits_in_the_live_store(
    house: House, recorder: Recorder, flaky: Flaky, spool: Spool
) -> None:
    await watched(house, 20)
    spool.settings = SpoolSettings(max_bytes=2_000)
    flaky.gone = True
    with pytest.raises(StorageUnavailable):
        await recorder.sweep()
    assert len(house.progress) == 20
    assert not spool.pending("stay")
    flaky.gone = False
    assert await recorder.sweep() == 20
    assert (await kept(house), len(house.progress)) == (20, 0)
