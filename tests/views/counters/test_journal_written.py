"""A view is counted only when the right to count it is in the file; whoever waits at the same time shares one write."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from foundation.clock import ManualClock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.counters.restoring import Restoring

NOW = 1_800_000_000_000
LATER = NOW + 3_600_000
VIDEO = 7


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


class House:
    """A store and its journal; the clock stands still, so nothing is written by itself."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock(NOW)
        self.journal = Journal(JournalSettings(directory), self.clock, Metrics())
        self.store = MemoryCounterStore(recorder=self.journal, written=self.journal.written)
        self.writes = 0
        flush = self.journal.flush

        async def counted() -> None:
            self.writes += 1
            await flush()

        self.journal.flush = counted  # type: ignore[method-assign]

    async def start(self) -> None:
        await self.journal.start(Restoring(self.store, ProgressStore(), NOW))


async def test_a_claim_is_in_the_file_when_it_is_granted(tmp_path: Path) -> None:
    house = House(tmp_path / "live")
    await house.start()
    assert await house.store.claim_view(VIDEO, key(1), LATER, NOW)
    # What a killed process leaves behind: the files as they are, without a last write.
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (tmp_path / "live").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    await house.journal.stop()

    after = House(copy)
    await after.start()
    assert not await after.store.claim_view(VIDEO, key(1), LATER, NOW)
    assert await after.store.claim_view(VIDEO, key(2), LATER, NOW)
    await after.journal.stop()


async def test_claims_at_the_same_time_share_few_writes(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.start()
    before = house.writes
    granted = await asyncio.gather(*(house.store.claim_view(VIDEO, key(one), LATER, NOW) for one in range(200)))
    assert all(granted)
    assert house.writes - before <= 2
    await house.journal.stop()


async def test_who_gives_up_waiting_takes_nobody_along(tmp_path: Path) -> None:
    house = House(tmp_path)
    await house.start()
    first = asyncio.create_task(house.journal.written())
    second = asyncio.create_task(house.journal.written())
    await asyncio.sleep(0)
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    await house.journal.stop()
    await house.journal.written()


async def test_a_second_process_is_told_so(tmp_path: Path) -> None:
    house, other = House(tmp_path), House(tmp_path)
    await house.start()
    with pytest.raises(StorageUnavailable, match="another process already uses"):
        await other.start()
    await house.journal.stop()
