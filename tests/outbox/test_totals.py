from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outbox.cadence import Cadence, TotalsPolicy
from outbox.totals import TotalsBoard

LIFE = 120_000
FAST, SLOW = Cadence.FAST, Cadence.SLOW


def board() -> TotalsBoard:
    return TotalsBoard(TotalsPolicy(LIFE))


def due(on: TotalsBoard, cadence: Cadence, peer: str = "p") -> list[int]:
    return [one.video for one in on.due(cadence, peer)]


def take(on: TotalsBoard, cadence: Cadence, peer: str = "p") -> list[int]:
    found = on.due(cadence, peer)
    if found:
        on.delivered(cadence, peer, found)
    assert not on.is_due(cadence, peer)
    return [one.video for one in found]


@pytest.mark.parametrize("cadence", list(Cadence))
def test_nobody_watching_is_no_news(cadence: Cadence) -> None:
    on = board()
    on.observe(1, 0, 0)
    assert due(on, cadence) == []
    assert on.next_ms() is None
    assert len(on) == 0


@pytest.mark.parametrize("cadence", list(Cadence))
def test_first_viewer_and_last_viewer_are_due_at_once(cadence: Cadence) -> None:
    on = board()
    on.observe(1, 1, 0)
    assert take(on, cadence) == [1]
    on.observe(1, 0, 10)
    assert take(on, cadence) == [1]
    on.observe(1, 0, 20)
    assert take(on, cadence) == []


def test_fast_peers_hear_every_change_slow_ones_by_tokens() -> None:
    on = board()
    on.observe(1, 1, 0)
    take(on, FAST), take(on, SLOW)
    heard = {FAST: 0, SLOW: 0}
    for second in range(1, 31):
        on.observe(1, 1 + second, second * 1000)
        on.tick(second * 1000)
        for cadence in Cadence:
            heard[cadence] += len(take(on, cadence))
    # The bucket: two at once, and one more at 30 s, a quarter of the lifetime.
    assert heard == {FAST: 30, SLOW: 3}


def test_a_change_that_found_no_token_is_due_when_there_is_one() -> None:
    on = board()
    for number in (1, 2, 3, 4):
        on.observe(1, number, 0)
        take(on, SLOW)
    assert due(on, SLOW) == []
    assert on.next_ms() == LIFE // 4
    on.tick(LIFE // 4 - 1)
    assert due(on, SLOW) == []
    on.tick(LIFE // 4)
    assert due(on, SLOW) == [1]


@pytest.mark.parametrize("cadence", list(Cadence))
def test_an_unmoved_number_is_repeated_before_it_expires(cadence: Cadence) -> None:
    on = board()
    on.observe(1, 5, 0)
    take(on, cadence)
    on.tick(LIFE * 3 // 5 - 1)
    assert due(on, cadence) == []
    on.tick(LIFE * 3 // 5)
    assert take(on, cadence) == [1]
    on.tick(LIFE * 3 // 5 * 2)
    assert take(on, cadence) == [1]


@pytest.mark.parametrize("cadence", list(Cadence))
def test_zero_stays_due_until_the_number_before_has_expired(cadence: Cadence) -> None:
    on = board()
    on.observe(1, 5, 0)
    take(on, cadence)
    on.observe(1, 0, 1000)
    on.tick(1000 + 2 * LIFE - 1)
    assert due(on, cadence) == [1]
    on.tick(1000 + 2 * LIFE)
    assert due(on, cadence) == []
    assert len(on) == 0
    assert on.next_ms() is None


def test_zero_is_not_repeated() -> None:
    on = board()
    on.observe(1, 5, 0)
    on.observe(1, 0, 0)
    assert take(on, FAST) == [1]
    on.tick(LIFE)
    assert due(on, FAST) == []


def test_a_new_follower_hears_every_live_total_oldest_change_first() -> None:
    on = board()
    for video in (3, 1, 2):
        on.observe(video, 7, 0)
    on.observe(3, 8, 1)
    assert due(on, FAST, "new") == [1, 2, 3]
    assert due(on, SLOW, "new") == [1, 2, 3]


def test_a_peer_that_was_down_for_an_hour_hears_each_video_once() -> None:
    on = board()
    for second in range(3600):
        on.observe(second % 10, 1 + second, second * 1000)
        on.tick(second * 1000)
    assert sorted(due(on, FAST)) == list(range(10))
    assert sorted(due(on, SLOW)) == list(range(10))
    assert len(on) == 10


def test_waiting_for_a_token_stands_in_the_queue_once() -> None:
    on = board()
    for number in range(1, 1000):
        on.observe(1, number, 0)
    assert len(on._boards[SLOW].waiting) == 1


def test_a_peer_told_another_number_than_the_others_is_told_again() -> None:
    on = board()
    for number in (1, 2, 3):
        on.observe(1, number, 0)
        take(on, SLOW, "a")
    on.observe(1, 9, 0)  # no token: it waits
    on.sent(SLOW, 1, 9)  # a peer that came back hears the newest number meanwhile
    take(on, SLOW, "b")
    on.observe(1, 3, 1)  # back to what the others know
    on.tick(LIFE // 4)
    assert due(on, SLOW, "b") == [1]


def test_forgetting() -> None:
    on = board()
    on.observe(1, 1, 0)
    on.observe(2, 1, 0)
    take(on, FAST)
    on.forget_video(1)
    on.forget_peer("p")
    assert due(on, FAST) == [2]
    on.tick(10 * LIFE)
    assert len(on) == 1


class Peer:
    """A receiver that believes a number until it expires."""

    def __init__(self) -> None:
        self.believed: dict[int, tuple[int, int]] = {}

    def shows(self, video: int, now_ms: int) -> int:
        number, expires_ms = self.believed.get(video, (0, 0))
        return number if expires_ms > now_ms else 0


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(1, 4), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 90), st.just(0)),
        st.tuples(st.just("serve"), st.sampled_from(["a", "b"]), st.booleans()),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(steps=_steps, cadence=st.sampled_from(list(Cadence)))
def test_every_peer_ends_up_with_the_newest_numbers(steps: list[tuple[str, object, object]], cadence: Cadence) -> None:
    on = board()
    actual: dict[int, int] = {}
    peers = {"a": Peer(), "b": Peer()}
    now_ms = 0

    def serve(name: str, arrives: bool) -> None:
        for one in on.due(cadence, name):
            number = actual[one.video]
            on.sent(cadence, one.video, number)
            if arrives:
                peers[name].believed[one.video] = (number, now_ms + 2 * LIFE)
                on.delivered(cadence, name, [one])

    def wait(duration_ms: int) -> None:
        nonlocal now_ms
        until_ms = now_ms + duration_ms
        while (at := on.next_ms()) is not None and at <= until_ms:
            now_ms = max(now_ms, at)
            on.tick(now_ms)
        now_ms = until_ms
        on.tick(now_ms)

    for kind, first, second in steps:
        if kind == "move":
            actual[int(str(first))] = int(str(second))
            on.observe(int(str(first)), int(str(second)), now_ms)
        elif kind == "wait":
            wait(int(str(first)) * 1000)
        else:
            serve(str(first), bool(second))
    # From here on everybody is healthy. One quarter of a lifetime later all tokens have been had.
    for _ in range(4):
        serve("a", True), serve("b", True)
        wait(LIFE // 8)
    serve("a", True), serve("b", True)
    for video, number in actual.items():
        for peer in peers.values():
            assert peer.shows(video, now_ms) == number
