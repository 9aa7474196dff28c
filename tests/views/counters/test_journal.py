"""What was written down comes back, whatever happened to the files or the process."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.clock import ManualClock, SystemClock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counters.base import Reading, Told, Total, TotalMark
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.progress import Progress, ProgressStore
from views.counters.records import NullRecorder
from views.counters.restoring import Restoring
from views.counters.segments import segment_paths
from views.model import LOCAL

NOW = 1_800_000_000_000


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


class House:
    """Store, progress and journal of one run."""

    def __init__(self, directory: Path, clock: ManualClock, **settings: int | bool) -> None:
        self.clock = clock
        self.metrics = Metrics()
        self.journal = Journal(JournalSettings(directory, **settings), clock, self.metrics)  # type: ignore[arg-type]
        self.store = MemoryCounterStore(recorder=self.journal)
        self.progress = ProgressStore(recorder=self.journal)

    async def __aenter__(self) -> House:
        await self.journal.start(Restoring(self.store, self.progress, self.clock.now_ms()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.journal.stop()

    def sample(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name) or 0.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


async def test_everything_comes_back(tmp_path: Path, clock: ManualClock) -> None:
    total = Total(9, NOW + 50_000, NOW, 2, 40_000)
    told = [Told(key(1), NOW, NOW + 60_000, NOW + 900), Told(key(1), NOW, NOW + 30_000, NOW + 5)]
    async with House(tmp_path, clock) as house:
        await house.store.touch(1, LOCAL, key(1), NOW + 60_000, NOW)
        await house.store.touch(1, "a.example:8443", key(2), NOW + 9_000, NOW)
        await house.store.touch(2, LOCAL, key(3), NOW + 60_000, NOW)
        await house.store.put_total(2, total, NOW)
        await house.store.touch(3, LOCAL, key(4), NOW + 60_000, NOW)
        await house.journal.flush()
        await house.store.leave(3, LOCAL, key(4), NOW)
        await house.store.mark_told(2, told[1])
        await house.store.mark_told(2, told[0])
        await house.store.claim_view(1, key(1), NOW + 3_600_000, NOW)
        await house.store.claim_view(1, key(2), NOW + 3_600_000, NOW)
        await house.store.release_view(1, key(2))
        house.progress.put(1, key(1), b"sections", NOW + 3_600_000)
        house.progress.put(1, key(2), b"short", NOW + 1)
        house.progress.put(1, key(3), b"dropped", NOW + 3_600_000)
        house.progress.pop(1, key(3))
    clock.advance(10_000)
    now = clock.now_ms()
    async with House(tmp_path, clock) as house:
        store = house.store
        assert await store.read(1, now) == Reading(1, {}, None)
        assert await store.read(2, now) == Reading(1, {}, total)
        assert sorted(await store.watched(now)) == [1, 2]
        assert list(await store.told(2, now)) == told
        assert not await store.claim_view(1, key(1), now + 1, now)
        assert await store.claim_view(1, key(2), now + 1, now)
        assert house.progress.hand_over(now, lambda *_: key(9)) == 1
        assert house.progress.due(10) == [Progress(1, key(9), b"short")]
        house.progress.put(1, key(2), b"anew", NOW + 3_600_000)
    async with House(tmp_path, clock) as house:
        assert house.progress.due(10) == [Progress(1, key(9), b"short")]
        house.progress.saved(house.progress.due(10))
    async with House(tmp_path, clock) as house:
        assert house.progress.due(10) == []
        assert sorted(house.progress.all_of(1)) == [
            Progress(1, key(1), b"sections"),
            Progress(1, key(2), b"anew"),
        ]
        assert (await store.read(1, NOW + 60_000)).local == 0


async def test_what_was_forgotten_does_not_come_back_and_what_came_later_does(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with House(tmp_path, clock) as house:
        store = house.store
        for video in (1, 2):
            await store.touch(video, "a.example", key(1), NOW + 60_000, NOW)
            await store.claim_view(video, key(1), NOW + 60_000, NOW)
            house.progress.put(video, key(1), b"old", NOW + 60_000)
        await store.forget_source("a.example")
        await store.touch(2, "a.example", key(2), NOW + 60_000, NOW)
        await store.forget_video(1)
        house.progress.forget_video(1)
        await store.touch(1, "a.example", key(3), NOW + 60_000, NOW)
        await store.touch(1, "a.example", key(4), NOW + 60_000, NOW)
    async with House(tmp_path, clock) as house:
        assert await house.store.read(1, NOW) == Reading(0, {"a.example": 2}, None)
        assert await house.store.read(2, NOW) == Reading(0, {"a.example": 1}, None)
        assert await house.store.claim_view(1, key(1), NOW + 1, NOW)
        assert not await house.store.claim_view(2, key(1), NOW + 1, NOW)
        assert house.progress.videos() == (2,)


async def settled(house: House) -> None:
    """The loop has run what it can, and so has the writing thread."""
    for _ in range(10):
        await house.clock.sleep_ms(0)
    await asyncio.get_running_loop().run_in_executor(house.journal._thread, int)


async def test_it_writes_by_itself_once_per_interval(tmp_path: Path, clock: ManualClock) -> None:
    async with House(tmp_path, clock) as house:
        await house.store.touch(1, LOCAL, key(1), NOW + 60_000, NOW)
        await settled(house)
        clock.advance(999)
        await settled(house)
        assert house.sample("fediviews_journal_bytes_total") == 0
        clock.advance(1)
        await settled(house)
        assert house.sample("fediviews_journal_bytes_total") > 0


async def test_several_touches_of_one_viewer_are_written_once(tmp_path: Path, clock: ManualClock) -> None:
    async with House(tmp_path, clock) as house:
        await house.store.touch(1, LOCAL, key(1), NOW + 60_000, NOW)
        await house.journal.flush()
        one = house.sample("fediviews_journal_bytes_total")
        for life in range(100):
            await house.store.touch(1, LOCAL, key(1), NOW + 60_001 + life, NOW)
        await house.journal.flush()
        assert house.sample("fediviews_journal_bytes_total") - one <= one


async def test_files_are_private_and_old_segments_go(tmp_path: Path, clock: ManualClock) -> None:
    directory = tmp_path / "live"
    async with House(directory, clock, live_keep_ms=60_000, segment_ms=10_000) as house:
        for _ in range(20):
            await house.store.touch(1, LOCAL, key(1), clock.now_ms() + 60_000, clock.now_ms())
            await house.journal.flush()
            clock.advance(10_000)
        paths = segment_paths(directory, "live")
        assert 5 <= len(paths) <= 8
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in directory.iterdir())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    async with House(directory, clock, live_keep_ms=60_000, segment_ms=10_000) as house:
        assert (await house.store.read(1, clock.now_ms())).local == 1
        clock.advance(120_000)
        await house.store.touch(1, LOCAL, key(1), clock.now_ms() + 60_000, clock.now_ms())
        await house.journal.flush()
        assert len(segment_paths(directory, "live")) == 1, "segments of an earlier run age as well"


async def test_a_segment_is_cut_by_size(tmp_path: Path, clock: ManualClock) -> None:
    async with House(tmp_path, clock, segment_bytes=100) as house:
        for video in range(6):
            await house.store.touch(video, "a.example", key(1), NOW + 60_000, NOW)
            await house.journal.flush()
        assert len(segment_paths(tmp_path, "live")) == 3
    async with House(tmp_path, clock) as house:
        assert len(await house.store.watched(NOW)) == 6


async def _three_flushes(directory: Path, clock: ManualClock) -> Path:
    async with House(directory, clock) as house:
        for number in range(3):
            await house.store.touch(1, LOCAL, key(number), NOW + 60_000, NOW)
            await house.journal.flush()
    (path,) = segment_paths(directory, "live")
    return path


async def test_a_torn_end_loses_only_the_last_batch(tmp_path: Path, clock: ManualClock) -> None:
    path = await _three_flushes(tmp_path, clock)
    os.truncate(path, path.stat().st_size - 3)
    async with House(tmp_path, clock) as house:
        assert (await house.store.read(1, NOW)).local == 2
        assert house.sample("fediviews_journal_damaged_segments_total") == 0


async def test_a_corrupt_frame_ends_its_segment_and_no_other(tmp_path: Path, clock: ManualClock) -> None:
    path = await _three_flushes(tmp_path, clock)
    async with House(tmp_path, clock) as house:
        await house.store.touch(1, LOCAL, key(9), NOW + 60_000, NOW)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    async with House(tmp_path, clock) as house:
        assert (await house.store.read(1, NOW)).local == 2, "the first batch, and that of the next segment"
        assert house.sample("fediviews_journal_damaged_segments_total") == 1


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=200), keep=st.integers(0, 300))
async def test_garbage_never_stops_a_start(tmp_path_factory: pytest.TempPathFactory, data: bytes, keep: int) -> None:
    directory, clock = tmp_path_factory.mktemp("live"), ManualClock(NOW)
    path = await _three_flushes(directory, clock)
    path.write_bytes(path.read_bytes()[:keep] + data)
    async with House(directory, clock) as house:
        assert (await house.store.read(1, NOW)).local <= 3


async def test_one_process_per_directory(tmp_path: Path, clock: ManualClock) -> None:
    async with House(tmp_path, clock):
        with pytest.raises(StorageUnavailable):
            async with House(tmp_path, clock):
                pass
    async with House(tmp_path, clock):
        pass


async def test_a_directory_is_held_before_anything_is_read(tmp_path: Path, clock: ManualClock) -> None:
    first, second = (Journal(JournalSettings(tmp_path / "live"), clock) for _ in range(2))
    first.hold()
    with pytest.raises(StorageUnavailable, match="another process already uses"):
        second.hold()
    # What was never started lets go as well.
    await first.stop()
    second.hold()
    await second.start(NullRecorder())
    with pytest.raises(StorageUnavailable):
        first.hold()
    await second.stop()
    first.hold()
    await first.stop()


async def test_a_disk_that_fails_is_counted_and_the_next_batch_is_written(tmp_path: Path, clock: ManualClock) -> None:
    async with House(tmp_path, clock) as house:
        await house.store.touch(1, LOCAL, key(1), NOW + 60_000, NOW)
        await house.journal.flush()
        os.close(house.journal._writers["live"]._fd)
        house.journal._writers["live"]._fd = os.open(tmp_path / "lock", os.O_RDONLY)
        await house.store.touch(1, "a.example", key(2), NOW + 60_000, NOW)
        await house.journal.flush()
        assert house.sample("fediviews_journal_errors_total") == 1
        await house.store.touch(1, "a.example", key(3), NOW + 60_000, NOW)
    async with House(tmp_path, clock) as house:
        assert await house.store.read(1, NOW) == Reading(1, {"a.example": 1}, None)


LOAD = """
import asyncio, json, sys
from pathlib import Path
from foundation.clock import SystemClock
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.records import NullRecorder

async def main():
    clock = SystemClock()
    journal = Journal(JournalSettings(Path(sys.argv[1]), interval_ms=200), clock)
    store = MemoryCounterStore(recorder=journal)
    await journal.start(NullRecorder())
    number = 0
    while True:
        for _ in range(200):
            now = clock.now_ms()
            await store.touch(number % 7, "", number.to_bytes(16, "big"), now + 600_000, now)
            await store.touch(number // 2 % 7, "", (number // 2).to_bytes(16, "big"), now + 600_000, now)
            number += 1
        print(json.dumps([clock.now_ms(), number]), flush=True)
        await clock.sleep_ms(5)

asyncio.run(main())
"""


def load_and_kill(directory: Path) -> list[tuple[int, int]]:
    """(instant, viewers so far), as the process said until it was killed."""
    marks: list[tuple[int, int]] = []
    with subprocess.Popen([sys.executable, "-c", LOAD, str(directory)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                marks.append(tuple(json.loads(line)))
                if marks[-1][0] - marks[0][0] > 1_500 and len(marks) > 20:
                    break
            process.send_signal(signal.SIGKILL)
            marks += [tuple(json.loads(line)) for line in process.stdout if line.endswith("\n")]
        finally:
            process.kill()
    return marks


async def test_kill_9_in_the_middle_of_a_load_loses_at_most_the_last_second(tmp_path: Path) -> None:
    marks = load_and_kill(tmp_path)
    clock = SystemClock()
    now = clock.now_ms()
    journal = Journal(JournalSettings(tmp_path), clock)
    store = MemoryCounterStore(recorder=journal)
    await journal.start(Restoring(store, None, now))
    counts = [reading.local for reading in await store.read_many(range(7), now)]
    await journal.stop()
    died_ms = marks[-1][0]
    surely = max((number for at, number in marks if at <= died_ms - 1_000), default=0)
    assert surely <= sum(counts) <= marks[-1][1] + 200
    assert max(counts) - min(counts) <= 1


async def test_a_total_that_was_replaced_does_not_come_back_after_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    until_ms = NOW + 30 * 60_000

    def mark(word: str) -> TotalMark:
        return TotalMark(until_ms, word * 8)

    captured, newer, tie = (
        Total(count, NOW + 240_000, order, 0, 0) for count, order in ((1_000, NOW), (3, NOW + 5), (4, NOW + 5))
    )
    newer = dataclasses.replace(newer, expires_ms=NOW + 4_000)
    async with House(tmp_path, clock, claims_keep_ms=3_600_000) as house:
        assert await house.store.put_total(1, captured, NOW, mark("aa"))
        assert await house.store.put_total(1, newer, NOW, mark("bb"))
        assert await house.store.put_total(1, tie, NOW, mark("cc"))
        assert await house.store.put_total(2, captured, NOW, mark("aa"))
        await house.store.forget_video(2)
    clock.advance(10_000)
    for _ in range(2):
        # The second time from what the first start left.
        async with House(tmp_path, clock, claims_keep_ms=3_600_000) as house:
            now = clock.now_ms()
            assert not await house.store.put_total(1, captured, now, mark("aa"))
            assert not await house.store.put_total(
                1, dataclasses.replace(newer, expires_ms=NOW + 240_000), now, mark("bb")
            )
            assert await house.store.put_total(1, tie, now, mark("cc"))
            assert await house.store.put_total(2, captured, now, mark("aa"))
            await house.store.forget_video(2)
    clock.advance(until_ms - clock.now_ms())
    async with House(tmp_path, clock, claims_keep_ms=3_600_000) as house:
        assert len(house.store.marks) == 0
