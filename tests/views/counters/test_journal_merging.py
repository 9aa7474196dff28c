"""Merged segments say the same as those they were made of, whenever the process is killed; and they are few."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.clock import ManualClock
from foundation.metrics import Metrics
from views.counters import codec
from views.counters.codec import Decoder, Kind
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.progress import CLOSED, ProgressStore
from views.counters.restoring import Restoring
from views.counters.segments import SegmentWriter, delete_replaced, read_segment, segment_paths
from views.counters.upkeep import Upkeep, UpkeepTerms

NOW = 1_800_000_000_000
KEEP_MS = 7_200_000


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


State = dict[tuple[int, bytes], tuple[bytes, int]]


def replayed(payloads: Iterator[bytes]) -> State:
    """What a start would know afterwards: blob and end of every viewer and every closed stay."""
    progress = ProgressStore()
    decoder = Decoder(Restoring(MemoryCounterStore(), progress, NOW))
    for payload in payloads:
        decoder.batch(payload)
    state = {
        (video, viewer): (blob, progress._lives[video].expires_ms(viewer))
        for video, blobs in progress._blobs.items()
        for viewer, blob in blobs.items()
    }
    closed = ((video, stay, blob) for video, blobs in progress._closed.items() for stay, blob in blobs.items())
    state.update({(video, stay): (blob, CLOSED) for video, stay, blob in closed})
    assert len(progress) == len(state)
    return state


def on_disk(directory: Path) -> Iterator[bytes]:
    for path in segment_paths(directory, "progress"):
        yield from read_segment(path)


class Thread:
    """What the writing thread does with one stream, a call at a time; every write is a segment of its own."""

    def __init__(self, directory: Path, merge_segments: int = 2, merge_memory: int = 1_000_000) -> None:
        self.directory = directory
        self.terms = UpkeepTerms(directory, merge_segments, merge_memory, KEEP_MS, 10**12)
        self.written: list[bytes] = []
        self.start()

    def start(self) -> None:
        self.writer = SegmentWriter(
            self.directory, "progress", keep_ms=KEEP_MS, segment_ms=10**9, segment_bytes=1, fsync=False
        )
        delete_replaced(self.directory, "progress")
        self.metrics = Metrics()
        self.upkeep = Upkeep(self.terms, self.metrics)
        self.upkeep.start(self.writer, [])
        for path in segment_paths(self.directory, "progress"):
            self.writer.adopt(path, max((codec.batch_base_ms(one) for one in read_segment(path)), default=0))

    def write(self, records: bytes) -> None:
        payload = codec.batch_start(NOW) + records
        self.writer.open_segment(NOW)
        self.writer.append(payload, NOW)
        self.written.append(payload)
        self.writer.close()
        self.upkeep.wanted = True

    def killed(self, fresh: Path) -> None:
        """The next process finds the files as they are at this moment."""
        shutil.copytree(self.directory, fresh)
        self.directory = fresh
        self.terms = UpkeepTerms(fresh, self.terms.merge_segments, self.terms.merge_memory, KEEP_MS, 10**12)
        self.start()

    def merge(self) -> None:
        for _ in range(10_000):
            if not self.upkeep.step(NOW):
                return
        raise AssertionError("it merges for ever")


videos = st.integers(1, 3)
viewers = st.integers(1, 6).map(key)
stays = st.integers(101, 106).map(key)
blobs = st.binary(min_size=1, max_size=30)
records = st.one_of(
    st.builds(
        lambda video, viewer, blob, life: codec.progress_records([(video, viewer, blob, NOW + life)]),
        videos,
        viewers,
        blobs,
        st.integers(1, 9),
    ),
    st.builds(lambda video, stay, blob: codec.progress_records([(video, stay, blob, CLOSED)]), videos, stays, blobs),
    st.builds(lambda video, gone: codec.progress_records([(video, gone, b"", 0)]), videos, viewers | stays),
    st.builds(lambda video: codec.video_forgotten_record(Kind.PROGRESS_FORGOTTEN, video), videos),
)
writes = st.lists(records, min_size=1, max_size=6).map(b"".join)
doings = st.lists(
    st.one_of(writes, writes, writes, st.integers(1, 12), st.just("merge"), st.just("kill")), min_size=8, max_size=50
)


@settings(max_examples=150, deadline=None)
@given(doings=doings, merge_segments=st.integers(2, 4), memory=st.sampled_from([400, 1_500, 1_000_000]))
def test_whatever_happens_a_start_finds_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, doings: list[bytes | int | str], merge_segments: int, memory: int
) -> None:
    base = tmp_path_factory.mktemp("live")
    (base / "0").mkdir()
    thread = Thread(base / "0", merge_segments, memory)
    for number, doing in enumerate(doings, 1):
        if isinstance(doing, bytes):
            thread.write(doing)
        elif isinstance(doing, int):
            for _ in range(doing):
                thread.upkeep.step(NOW)
        elif doing == "merge":
            thread.merge()
        else:
            thread.killed(base / str(number))
        assert replayed(on_disk(thread.directory)) == replayed(iter(thread.written))
    thread.merge()
    assert replayed(on_disk(thread.directory)) == replayed(iter(thread.written))
    assert thread.metrics.registry.get_sample_value("fediviews_journal_merges_failed_total") == 0
    # A merge that was killed takes its file away whenever it is collected, perhaps in the middle of this.
    shutil.rmtree(base, ignore_errors=True)


class Killed(BaseException):
    """The process is gone: nothing that comes later is done."""


class Fuse:
    """Lets so many calls to the disk happen, and none after."""

    def __init__(self, patch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        for owner, name in ((os, "write"), (os, "fsync"), (Path, "rename"), (Path, "unlink")):
            self._cut(patch, owner, name)

    def _cut(self, patch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        call = getattr(owner, name)

        def until_dead(*args: object, **keywords: object) -> object:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return call(*args, **keywords)

        patch.setattr(owner, name, until_dead)


def test_a_kill_before_any_call_to_the_disk_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    thread = Thread(tmp_path / "first", merge_segments=3)
    for number in range(9):
        thread.write(
            codec.progress_records(
                [(1, key(number % 2), b"%d" % number, NOW + number + 1), (2, key(number), b"x", NOW)]
            )
            + codec.video_forgotten_record(Kind.PROGRESS_FORGOTTEN, 2)
        )
        thread.write(codec.progress_records([(1, key(number % 2), b"", 0), (1, key(9), b"%d" % number, NOW + 1)]))
    expected = replayed(iter(thread.written))
    calls, done = 0, False
    while not done:
        thread.killed(tmp_path / f"try{calls}")
        with pytest.MonkeyPatch.context() as patch:
            fuse = Fuse(patch, calls)
            try:
                thread.merge()
                done = fuse.left >= 0
            except Killed:
                pass
        directory = thread.directory
        assert replayed(on_disk(directory)) == expected, calls
        thread.killed(tmp_path / f"after{calls}")
        assert sorted(path.name for path in thread.directory.iterdir()) == sorted(
            path.name for path in segment_paths(thread.directory, "progress")
        ), "what was left half done is cleared away"
        assert replayed(on_disk(thread.directory)) == expected, calls
        thread.directory = tmp_path / "first"
        calls += 1
    assert calls > 40


def test_what_is_certainly_over_is_left_out_and_what_waits_to_be_saved_is_not(tmp_path: Path) -> None:
    thread = Thread(tmp_path)
    over, just = NOW - KEEP_MS, NOW - KEEP_MS + 1
    thread.write(codec.progress_records([(1, key(1), b"over", over), (1, key(2), b"just", just)]))
    thread.write(codec.progress_records([(1, key(101), b"closed", CLOSED), (2, key(1), b"over", over)]))
    thread.merge()
    assert replayed(on_disk(tmp_path)) == {(1, key(2)): (b"just", just), (1, key(101)): (b"closed", CLOSED)}


def test_dropping_what_is_over_does_not_uncover_what_is_older(tmp_path: Path) -> None:
    thread = Thread(tmp_path)
    # Merged once while it was not over yet, so that the next merge does not begin at the oldest segment.
    thread.write(codec.progress_records([(1, key(1), b"older", NOW - KEEP_MS - 2)]))
    thread.write(b"")
    while thread.upkeep.step(NOW - KEEP_MS):
        pass
    thread.write(codec.progress_records([(1, key(1), b"newer", NOW - KEEP_MS - 1)]))
    thread.write(b"")
    while len(segment_paths(tmp_path, "progress")) > 2:
        thread.upkeep.step(NOW)
    assert replayed(on_disk(tmp_path)) == {}


async def _settled(journal: Journal, clock: ManualClock) -> None:
    for _ in range(200):
        await clock.sleep_ms(0)
        if journal._merging is None:
            return
        await asyncio.get_running_loop().run_in_executor(journal._thread, int)
    raise AssertionError("it merges for ever")


class House:
    def __init__(self, directory: Path, clock: ManualClock, **settings: int) -> None:
        self.clock = clock
        self.metrics = Metrics()
        self.directory = directory
        self.journal = Journal(JournalSettings(directory, **settings), clock, self.metrics)  # type: ignore[arg-type]
        self.progress = ProgressStore(recorder=self.journal)
        self.store = MemoryCounterStore(recorder=self.journal)

    async def __aenter__(self) -> House:
        await self.journal.start(Restoring(self.store, self.progress, self.clock.now_ms()))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.journal.stop()

    async def report(self, viewers: int) -> None:
        now = self.clock.now_ms()
        for viewer in range(viewers):
            self.progress.put(1, key(viewer), b"b" * 45, now + 3_600_000)
        await self.journal.flush()
        await _settled(self.journal, self.clock)

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in segment_paths(self.directory, "progress"))

    def sample(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name) or 0.0


async def test_more_than_one_batch_at_a_time_comes_back(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with House(tmp_path, clock, segment_bytes=1, merge_segments=2) as house:
        for _ in range(4):
            await house.report(4_100)
        assert house.sample("fediviews_journal_merges_total") > 2
        house.progress.put(2, key(1), b"forgotten", NOW + 9)
        house.progress.forget_video(2)
    async with House(tmp_path, clock) as house:
        assert len(house.progress.all_of(1)) == len(house.progress) == 4_100


async def test_by_itself_the_journal_keeps_few_segments_and_few_bytes(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with House(tmp_path, clock) as house:
        for _ in range(2 * 120):
            await house.report(20)
            clock.advance(30_000)
        written = house.sample("fediviews_journal_bytes_total")
        assert house.bytes < written / 8
        assert len(segment_paths(tmp_path, "progress")) < 30
        assert house.sample("fediviews_journal_merges_total") >= 24
        state = house.progress.all_of(1)
    async with House(tmp_path, clock) as house:
        assert sorted(house.progress.all_of(1)) == sorted(state)
        assert house.sample("fediviews_journal_replayed_records_total") < 20 * 30


async def test_a_write_does_not_wait_for_a_merge(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with House(tmp_path, clock, segment_bytes=1, merge_segments=50) as house:
        for _ in range(50):
            house.progress.put(1, key(1), b"blob", NOW + 9)
            await house.journal.flush()
        house.progress.put(1, key(2), b"blob", NOW + 9)
        await house.journal.flush()
        assert house.journal._merging is not None
        await house.journal.written()
        assert house.journal._merging is not None, "it goes on"
        await _settled(house.journal, clock)
        assert house.sample("fediviews_journal_merges_total") == 1


async def test_a_stop_in_the_middle_of_a_merge_leaves_its_sources(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    async with House(tmp_path, clock, segment_bytes=1, merge_segments=50) as house:
        for _ in range(51):
            house.progress.put(1, key(1), b"blob", NOW + 9)
            await house.journal.flush()
        assert house.journal._merging is not None
    assert not (tmp_path / "merging.tmp").exists()
    assert len(segment_paths(tmp_path, "progress")) == 51
    async with House(tmp_path, clock) as house:
        assert len(house.progress) == 1


async def test_at_the_bound_the_oldest_progress_goes_first_and_the_log_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock(NOW)
    async with House(tmp_path, clock, segment_bytes=1, merge_segments=1_000, max_bytes=10_000) as house:
        await house.store.claim_view(1, key(1), NOW + 9_000_000, NOW)
        with caplog.at_level(logging.WARNING):
            for _ in range(30):
                await house.report(10)
        assert house.bytes <= 10_000
        assert house.sample("fediviews_journal_held_bytes") <= 10_000
        assert house.sample("fediviews_journal_dropped_bytes_total") > 10_000
        assert sum("views.journal_max" in record.message for record in caplog.records) == 1
        clock.advance(3_600_000)
        await house.report(10)
        assert sum("views.journal_max" in record.message for record in caplog.records) == 2
    async with House(tmp_path, clock) as house:
        assert len(house.progress) == 10
        assert not await house.store.claim_view(1, key(1), NOW + 9_000_000, NOW)


async def test_a_disk_that_is_full_leaves_the_sources_and_merges_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(NOW)
    async with House(tmp_path, clock, segment_bytes=1, merge_segments=3) as house:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", _full)
            for _ in range(4):
                await house.report(3)
        assert house.sample("fediviews_journal_merges_failed_total") == 1
        assert len(segment_paths(tmp_path, "progress")) == 4
        await house.report(3)
        assert house.sample("fediviews_journal_merges_total") == 1


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")
