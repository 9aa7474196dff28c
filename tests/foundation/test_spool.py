"""The spool: taken is on the disk, replayed is replayed once, whoever is killed when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, func, insert, select

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.spool import Applied, Spool, SpoolSettings, nothing_more
from foundation.spool.file import SpoolFile
from foundation.spool.tables import spool_cursors

EVERY_DATABASE = True

effects = Table(
    "effects",
    MetaData(),
    Column("n", Integer, primary_key=True, autoincrement=True),
    Column("payload", LargeBinary, nullable=False),
)


class House:
    """Spools over one database, whose replay can be told that the database is gone."""

    def __init__(self, directory: Path, database: Database, clock: ManualClock, stack: AsyncExitStack) -> None:
        self.directory = directory
        self.database = database
        self.clock = clock
        self.gone = False
        self.poison: bytes | None = None
        self.applied: list[bytes] = []
        self.metrics = Metrics()
        self._stack = stack

    async def replay(self, tx: Transaction, payloads: Sequence[bytes]) -> Applied:
        for payload in payloads:
            await tx.execute(insert(effects).values(payload=payload))
        if self.gone:
            raise StorageUnavailable("database: gone")
        if self.poison in payloads:
            raise ValueError("not understood")
        return lambda: self.applied.extend(payloads)

    async def spool(self, settings: SpoolSettings | None = None, together: int = 200) -> Spool:
        self.metrics = Metrics()
        spool = Spool(self.directory, self.database, self.clock, self.metrics, settings)
        spool.replays("note", self.replay, together=together)
        self._stack.push_async_callback(spool.stop)
        await spool.start()
        return spool

    async def effects(self) -> list[bytes]:
        async with self.database.read() as tx:
            return [bytes(each) for each in await tx.scalars(select(effects.c.payload).order_by(effects.c.n))]

    async def cursors(self) -> int:
        async with self.database.read() as tx:
            return int(await tx.scalar(select(func.count()).select_from(spool_cursors)) or 0)

    def files(self, suffix: str = ".spool") -> list[str]:
        return sorted(path.name for path in self.directory.glob(f"*{suffix}")) if self.directory.exists() else []

    def metric(self, name: str, **labels: str) -> float:
        registry: CollectorRegistry = self.metrics.registry
        return registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def house(tmp_path: Path, database: Database, clock: ManualClock) -> AsyncIterator[House]:
    await database.write(lambda tx: tx.run_sync(effects.create))
    async with AsyncExitStack() as stack:
        yield House(tmp_path / "spool", database, clock, stack)
    await database.write(lambda tx: tx.run_sync(effects.drop))


async def test_what_was_added_is_replayed_in_order_and_leaves_nothing_behind(house: House) -> None:
    house.gone = True
    spool = await house.spool()
    for number in range(7):
        await spool.add("note", b"%d" % number)
    await spool.add("note", b"7", b"8")
    assert spool.pending("note")
    assert house.metric("fediviews_spool_entries") == 9
    assert await house.effects() == []
    house.clock.advance(30_000)
    assert house.metric("fediviews_spool_oldest_seconds") == 30
    house.gone = False
    await spool.replay()
    assert await house.effects() == house.applied == [b"%d" % number for number in range(9)]
    assert not spool.pending("note")
    assert (house.files(), await house.cursors()) == ([], 0)
    assert house.metric("fediviews_spool_replayed_total", kind="note") == 9
    assert house.metric("fediviews_spool_bytes") == house.metric("fediviews_spool_oldest_seconds") == 0


async def test_it_goes_on_by_itself_when_the_database_is_back(house: House) -> None:
    house.gone = True
    spool = await house.spool()
    await spool.add("note", b"one")
    house.gone = False

    async with asyncio.timeout(20):
        for _ in range(10_000):
            house.clock.advance(1_000)
            if not spool.pending("note"):
                break
            await asyncio.sleep(0.001)
    assert await house.effects() == [b"one"]


async def test_adds_of_one_moment_share_a_write(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.gone = True
    spool = await house.spool()
    writes = []
    append = SpoolFile.append
    monkeypatch.setattr(SpoolFile, "append", lambda self, entries: (writes.append(len(entries)), append(self, entries)))
    await asyncio.gather(*(spool.add("note", b"%d" % number) for number in range(100)))
    assert len(writes) < 10
    house.gone = False
    await spool.replay()
    assert sorted(await house.effects()) == sorted(b"%d" % number for number in range(100))


async def test_a_process_that_ends_leaves_its_entries_to_the_next(house: House) -> None:
    house.gone = True
    first = await house.spool()
    await first.add("note", b"one")
    await first.add("note", b"two")
    await first.stop()
    assert len(house.files()) == 1
    house.gone = False
    second = await house.spool()
    await second.replay()
    assert await house.effects() == [b"one", b"two"]
    assert house.files() == []


async def test_the_spool_of_a_process_that_lives_is_left_alone(house: House) -> None:
    house.gone = True
    living = await house.spool()
    await living.add("note", b"one")
    other = await house.spool()
    assert not other.pending("note")
    assert await other.replay() == 0
    assert len(house.files()) == 1
    house.gone = False
    await living.replay()
    assert await house.effects() == [b"one"]


async def test_killed_between_commit_and_removal_nothing_is_replayed_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.gone = True
    first = await house.spool()
    for number in range(5):
        await first.add("note", b"%d" % number)

    def killed(_: SpoolFile) -> None:
        raise OSError("killed")

    house.gone = False
    with monkeypatch.context() as patch:
        patch.setattr(SpoolFile, "remove", killed)
        with pytest.raises(OSError, match="killed"):
            await first.replay()
    await first.stop()
    assert await house.effects() == [b"%d" % number for number in range(5)]
    second = await house.spool()
    await second.replay()
    assert await house.effects() == [b"%d" % number for number in range(5)]
    assert (house.files(), await house.cursors()) == ([], 0)


async def test_killed_in_the_middle_of_a_replay_it_goes_on_where_it_was(house: House) -> None:
    house.gone = True
    first = await house.spool(together=1)
    for number in range(5):
        await first.add("note", b"%d" % number)
    file = next(house.directory.iterdir())
    whole = file.read_bytes()
    house.gone, house.poison = False, b"3"

    def gone_at_three(payloads: Sequence[bytes]) -> bool:
        return b"3" in payloads

    async def replay(tx: Transaction, payloads: Sequence[bytes]) -> Applied:
        if gone_at_three(payloads):
            raise StorageUnavailable("database: gone")
        await tx.execute(insert(effects).values(payload=payloads[0]))
        return nothing_more

    first.replays("note", replay, together=1)
    with pytest.raises(StorageUnavailable):
        await first.replay()
    await first.stop()
    assert file.read_bytes() == whole
    assert await house.effects() == [b"0", b"1", b"2"]
    house.poison = None
    second = await house.spool()
    await second.replay()
    assert await house.effects() == [b"%d" % number for number in range(5)]


async def test_a_torn_end_costs_only_what_nobody_was_told_of(house: House) -> None:
    house.gone = True
    first = await house.spool()
    await first.add("note", b"one")
    await first.stop()
    (file,) = house.directory.iterdir()
    with file.open("ab") as end:
        end.write(b"\x20\0\0\0torn")
    house.gone = False
    second = await house.spool()
    await second.replay()
    assert await house.effects() == [b"one"]
    assert house.files(".aside") == house.files() == []


async def test_what_is_damaged_is_replayed_up_to_there_and_put_aside(house: House) -> None:
    house.gone = True
    first = await house.spool()
    for payload in (b"one", b"two", b"three"):
        await first.add("note", payload)
    await first.stop()
    (file,) = house.directory.iterdir()
    file.write_bytes(file.read_bytes().replace(b"two", b"TWO"))
    house.gone = False
    second = await house.spool()
    await second.replay()
    assert await house.effects() == [b"one"]
    assert house.files() == []
    assert len(house.files(".aside")) == 1
    assert house.metric("fediviews_spool_put_aside_total") == 1
    assert house.metric("fediviews_spool_entries") == 0


async def test_an_entry_at_fault_holds_up_nobody_and_is_kept_for_people(house: House) -> None:
    house.gone = True
    spool = await house.spool()
    await spool.add("note", b"one", b"two", b"three")
    house.gone, house.poison = False, b"two"
    await spool.replay()
    assert await house.effects() == house.applied == [b"one", b"three"]
    assert house.metric("fediviews_spool_failed_total") == 1
    assert len(house.files(".aside")) == 1
    assert not spool.pending("note")


async def test_full_is_refused_and_there_is_room_again_after_a_replay(house: House) -> None:
    house.gone = True
    spool = await house.spool(SpoolSettings(max_bytes=3_000))
    with pytest.raises(StorageUnavailable, match="full"):
        await spool.add("note", bytes(2_000), share=0.5)
    await spool.add("note", bytes(2_000))
    with pytest.raises(StorageUnavailable, match="full"):
        await spool.add("note", bytes(2_000))
    assert house.metric("fediviews_spool_refused_total") == 2
    house.gone = False
    await spool.replay()
    await spool.add("note", bytes(2_000))


async def test_many_files_are_bounded_together_and_replayed_in_order(house: House) -> None:
    house.gone = True
    spool = await house.spool(SpoolSettings(max_bytes=1_000_000))
    payloads = [b"%03d" % number + bytes(9_000) for number in range(100)]
    for payload in payloads:
        await spool.add("note", payload)
        house.clock.advance(1)
    assert len(house.files()) > 3
    await spool.stop()
    house.gone = False
    again = await house.spool()
    await again.replay()
    assert await house.effects() == payloads
    assert (house.files(), await house.cursors()) == ([], 0)


async def test_a_disk_that_refuses_takes_nothing_back_that_was_taken(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.gone = True
    spool = await house.spool()
    await spool.add("note", b"one")

    def half(_: int, data: bytes) -> int:
        with file.open("ab") as end:
            end.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    (file,) = house.directory.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("foundation.spool.file.write_all", half)
        with pytest.raises(StorageUnavailable, match="No space left"):
            await spool.add("note", b"two")
    await spool.add("note", b"three")
    house.gone = False
    await spool.replay()
    assert await house.effects() == [b"one", b"three"]


async def test_files_are_for_the_owner_only(house: House) -> None:
    house.gone = True
    spool = await house.spool()
    await spool.add("note", b"one")
    (file,) = house.directory.iterdir()
    assert (house.directory.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


async def test_closed_it_takes_nothing(house: House) -> None:
    spool = await house.spool()
    await spool.stop()
    with pytest.raises(StorageUnavailable):
        await spool.add("note", b"one")
