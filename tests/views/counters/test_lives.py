"""Lives against a dict that is looked through from end to end."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from views.counters.lives import NEVER, Lives

VIEWERS = st.integers(0, 12).map(lambda number: number.to_bytes(16, "big"))


class LivesMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.lives = Lives()
        self.model: dict[bytes, int] = {}
        self.now = 1_000

    def drain(self) -> None:
        if self.now >= self.lives.due_ms:
            gone = self.lives.drain(self.now)
            assert len(gone) == len(set(gone))
            assert set(gone) == {viewer for viewer, end in self.model.items() if end <= self.now}
        self.model = {viewer: end for viewer, end in self.model.items() if end > self.now}

    @rule(viewer=VIEWERS, life=st.integers(1, 40))
    def touch(self, viewer: bytes, life: int) -> None:
        self.drain()
        assert self.lives.touch(viewer, self.now + life) is (viewer not in self.model)
        self.model[viewer] = max(self.now + life, self.model.get(viewer, 0))

    @rule(viewer=VIEWERS)
    def touch_with_the_usual_life(self, viewer: bytes) -> None:
        self.touch(viewer, 30)

    @rule(viewer=VIEWERS)
    def remove(self, viewer: bytes) -> None:
        self.drain()
        assert self.lives.remove(viewer) is (self.model.pop(viewer, None) is not None)

    @rule(step=st.integers(1, 25))
    def wait(self, step: int) -> None:
        self.now += step

    @precondition(lambda self: self.now > 900)
    @rule(step=st.integers(1, 10))
    def clock_is_set_back(self, step: int) -> None:
        self.now -= step

    @invariant()
    def same(self) -> None:
        self.drain()
        assert len(self.lives) == len(self.model)
        assert all(self.lives.expires_ms(viewer) == end for viewer, end in self.model.items())
        assert self.lives.due_ms <= min(self.model.values(), default=NEVER)


TestLives = LivesMachine.TestCase
TestLives.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_many_viewers_that_are_refreshed_and_then_leave_in_turn() -> None:
    lives = Lives()
    keys = [number.to_bytes(16, "big") for number in range(5_000)]
    for turn in range(3):
        for number, key in enumerate(keys):
            lives.touch(key, 100_000 + turn * 5_000 + number)
    for number in range(5_000):
        now = 110_000 + number
        gone = lives.drain(now) if now >= lives.due_ms else []
        assert gone == [keys[number]]
    assert len(lives) == 0
    assert lives.due_ms == NEVER


def test_a_crowd_that_is_refreshed_is_looked_through_four_times_per_life() -> None:
    lives, looks = Lives(), 0
    for now in range(0, 600_000, 1_000):
        if now >= lives.due_ms:
            looks += 1
            assert lives.drain(now) == []
        for number in range(now // 1_000 % 5, 50, 5):
            lives.touch(number.to_bytes(16, "big"), now + 120_000)
    assert len(lives) == 50
    assert looks <= 600_000 // 30_000 + 1
    assert lives._heap == []


def test_a_crowd_that_ends_at_once_is_looked_through_a_few_times() -> None:
    lives, looks = Lives(), 0
    for number in range(100):
        lives.touch(number.to_bytes(16, "big"), 119_000 + 10 * number)
    for now in range(120_000):
        if now >= lives.due_ms:
            looks += 1
            lives.drain(now)
    assert len(lives) == 0
    assert looks <= 100 + 30


def test_an_emptied_crowd_gives_its_memory_back() -> None:
    lives = Lives()
    for number in range(10_000):
        lives.touch(number.to_bytes(16, "big"), 1_000 + (number >= 9_990))
    lives.drain(1_000)
    assert len(lives) == 10
    assert lives._ends.__sizeof__() < 10_000


def test_ends_before_the_horizon_that_move_all_the_time_stay_bounded() -> None:
    lives = Lives()
    lives.touch(b"t" * 16, 10**9)
    for end in range(10_000):
        lives.touch(b"v" * 16, 1_000 + end)
    assert len(lives._heap) <= 69
    assert lives.expires_ms(b"v" * 16) == 10_999
