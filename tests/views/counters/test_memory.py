"""Any interleaving of what can happen to a memory store equals a model that looks through everything."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from foundation.errors import StorageUnavailable
from views.counters.base import Reading, Total
from views.counters.memory import MemoryCounterStore
from views.model import LOCAL

T = TypeVar("T")
VIDEOS = st.integers(1, 3)
SOURCES = st.sampled_from([LOCAL, "a.example", "b.example"])
VIEWERS = st.integers(0, 6).map(lambda number: number.to_bytes(16, "big"))
LIVES = st.one_of(st.just(30), st.integers(-5, 60))
CAPACITY = 14


def run(work: Coroutine[Any, Any, T]) -> T:
    """Nothing in a memory store waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waited")


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryCounterStore(CAPACITY)
        self.now = 1_000
        self.viewers: dict[tuple[int, str, bytes], int] = {}
        self.totals: dict[int, Total] = {}
        self.claims: dict[tuple[int, bytes], int] = {}
        self.changed: set[int] = set()

    def pass_away(self) -> None:
        for entry in [entry for entry, end in self.viewers.items() if end <= self.now]:
            del self.viewers[entry]
            self.changed.add(entry[0])
        for video in [video for video, total in self.totals.items() if total.fresh_until_ms <= self.now]:
            del self.totals[video]
            self.changed.add(video)

    @rule(step=st.integers(1, 40))
    def wait(self, step: int) -> None:
        self.now += step
        self.pass_away()

    @rule(video=VIDEOS, source=SOURCES, viewer=VIEWERS, life=LIVES)
    def touch(self, video: int, source: str, viewer: bytes, life: int) -> None:
        entry, end = (video, source, viewer), self.now + life
        if entry not in self.viewers and life > 0 and len(self.viewers) >= CAPACITY:
            with pytest.raises(StorageUnavailable):
                run(self.store.touch(video, source, viewer, end, self.now))
            return
        new = run(self.store.touch(video, source, viewer, end, self.now))
        assert new is (life > 0 and entry not in self.viewers)
        if life > 0:
            self.viewers[entry] = max(end, self.viewers.get(entry, 0))

    @rule(video=VIDEOS, source=SOURCES, viewer=VIEWERS)
    def leave(self, video: int, source: str, viewer: bytes) -> None:
        was_here = self.viewers.pop((video, source, viewer), None) is not None
        assert run(self.store.leave(video, source, viewer, self.now)) is was_here

    @rule(video=VIDEOS, count=st.integers(0, 9), life=LIVES, order=st.integers(0, 5), granted=st.integers(0, 40))
    def total(self, video: int, count: int, life: int, order: int, granted: int) -> None:
        total = Total(count, self.now + life, order, 0, granted)
        known = self.totals.get(video)
        keeps = total.fresh_until_ms > self.now and (known is None or order >= known.order_ms)
        assert run(self.store.put_total(video, total, self.now)) is keeps
        if keeps:
            self.totals[video] = total
            self.viewers = {e: end for e, end in self.viewers.items() if e[0] != video or e[1] == LOCAL}

    @rule(source=st.sampled_from(["a.example", "b.example"]))
    def forget_source(self, source: str) -> None:
        run(self.store.forget_source(source))
        self.changed |= {video for video, of, _ in self.viewers if of == source}
        self.viewers = {entry: end for entry, end in self.viewers.items() if entry[1] != source}

    @rule(video=VIDEOS)
    def forget_video(self, video: int) -> None:
        run(self.store.forget_video(video))
        self.viewers = {entry: end for entry, end in self.viewers.items() if entry[0] != video}
        self.claims = {entry: end for entry, end in self.claims.items() if entry[0] != video}
        self.totals.pop(video, None)
        self.changed.discard(video)

    @rule(video=VIDEOS, viewer=VIEWERS, life=st.integers(1, 60))
    def claim(self, video: int, viewer: bytes, life: int) -> None:
        free = self.claims.get((video, viewer), 0) <= self.now
        assert run(self.store.claim_view(video, viewer, self.now + life, self.now)) is free
        if free:
            self.claims[video, viewer] = self.now + life

    @rule(video=VIDEOS, viewer=VIEWERS)
    def release(self, video: int, viewer: bytes) -> None:
        run(self.store.release_view(video, viewer))
        self.claims.pop((video, viewer), None)

    @rule()
    def sweep(self) -> None:
        assert set(run(self.store.sweep(self.now))) == self.changed
        self.changed = set()
        assert len(self.store) == len(self.viewers)

    @rule(video=VIDEOS)
    def read(self, video: int) -> None:
        counts: dict[str, int] = {}
        for of, source, _ in self.viewers:
            if of == video:
                counts[source] = counts.get(source, 0) + 1
        local, total = counts.pop(LOCAL, 0), self.totals.get(video)
        expected = Reading(local, {} if total else counts, total)
        assert run(self.store.read(video, self.now)) == expected

    @rule()
    def watched(self) -> None:
        assert set(run(self.store.watched(self.now))) == {entry[0] for entry in self.viewers} | set(self.totals)

    @invariant()
    def bounded(self) -> None:
        assert len(self.viewers) <= len(self.store) <= CAPACITY


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)


async def test_nothing_is_left_behind_by_what_ended() -> None:
    store = MemoryCounterStore()
    for number in range(50):
        key = number.to_bytes(16, "big")
        await store.touch(number, "a.example", key, 1_000 + number, 1)
        await store.put_total(number, Total(1, 1_100 + number, 1, 0, 8), 1)
        await store.touch(number, LOCAL, key, 1_200 + number, 1)
        await store.claim_view(number, key, 1_300 + number, 1)
    for now in range(1_000, 1_400, 7):
        await store.sweep(now)
    assert (store._videos, store._size, store.claims._videos, len(store.claims)) == ({}, 0, {}, 0)
    assert [len(agenda) for agenda in (store._ends, store._total_ends, store.claims._ends)] == [0, 0, 0]


async def test_claims_have_a_bound_of_their_own() -> None:
    store = MemoryCounterStore(10, max_claims=1)
    assert await store.claim_view(1, b"a" * 16, 100, 1)
    with pytest.raises(StorageUnavailable):
        await store.claim_view(2, b"a" * 16, 100, 1)
    await store.sweep(100)
    assert await store.claim_view(2, b"a" * 16, 200, 100)
