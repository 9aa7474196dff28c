from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from views.sections import (
    MAX_POSITION_S,
    MAX_SECTIONS,
    Arithmetic,
    Progress,
    Rules,
    begin,
    decode,
    encode,
    report,
)

STRICT = Rules()
PEERTUBE = Rules(Arithmetic.PEERTUBE)
T0 = 1_800_000_000_000

Step = tuple[int, int, bool]
"""Milliseconds since the report before, position, seek."""


def play(steps: list[Step], rules: Rules = STRICT) -> Progress:
    """The first step's wait and seek mean nothing: it begins."""
    now_ms = T0
    progress = begin(steps[0][1], now_ms, rules)
    for wait_ms, position_s, seek in steps[1:]:
        now_ms += wait_ms
        report(progress, position_s, seek, now_ms, rules)
    return progress


TABLE: list[tuple[str, list[Step], int, list[tuple[int, int]]]] = [
    ("one report is no time", [(0, 7, False)], 0, []),
    ("an honest player", [(0, 0, False), (5_000, 5, False), (5_000, 10, False)], 10, [(0, 10)]),
    ("the test-suite's player, in a hurry", [(0, 0, False), (1_000, 5, False)], 5, [(0, 5)]),
    ("no wall time: the slack, once", [(0, 0, False), (0, 35, False), (0, 70, False)], 5, [(0, 5)]),
    ("playing at double speed", [(0, 0, False), *((5_000, 10 * n, False) for n in range(1, 7))], 60, [(0, 60)]),
    (
        "at triple speed: cut",
        [(0, 0, False), *((10_000, 30 * n, False) for n in range(1, 4))],
        65,
        [(0, 25), (30, 50), (60, 80)],
    ),
    ("a stalled network loses nothing", [(0, 0, False), (300_000, 300, False)], 300, [(0, 300)]),
    ("a pause is no time", [(0, 0, False), (5_000, 5, False), (60_000, 5, False), (5_000, 10, False)], 10, [(0, 10)]),
    (
        "a seek opens a section",
        [(0, 0, False), (5_000, 5, False), (5_000, 50, True), (5_000, 55, False)],
        10,
        [(0, 5), (50, 55)],
    ),
    (
        "back without saying so",
        [(0, 50, False), (5_000, 55, False), (5_000, 10, False), (5_000, 15, False)],
        10,
        [(10, 15), (50, 55)],
    ),
    (
        "watched again counts again, kept once",
        [(0, 0, False), (10_000, 10, False), (5_000, 5, True), (10_000, 15, False)],
        20,
        [(0, 15)],
    ),
    (
        "sections that touch are one",
        [(0, 0, False), (5_000, 5, False), (1, 10, True), (5_000, 15, False), (1, 5, True), (5_000, 10, False)],
        15,
        [(0, 15)],
    ),
    ("the same second twice", [(0, 5, False), (5_000, 5, False), (5_000, 5, True)], 0, []),
    (
        "the clock went back",
        [(0, 0, False), (5_000, 5, False), (-60_000, 10, False), (60_000, 15, False)],
        15,
        [(0, 15)],
    ),
]


@pytest.mark.parametrize(
    ("steps", "watch_time_s", "sections"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_strict(steps: list[Step], watch_time_s: int, sections: list[tuple[int, int]]) -> None:
    progress = play(steps)
    assert progress.watch_time_s == watch_time_s
    assert progress.sections() == sections


def test_an_honest_player_reaches_ten_seconds_at_its_third_report() -> None:
    progress = begin(0, T0, STRICT)
    assert report(progress, 5, False, T0 + 5_000, STRICT) == 5
    assert report(progress, 10, False, T0 + 10_000, STRICT) == 10


def test_jitter_of_the_network_takes_nothing_from_an_honest_player_at_double_speed() -> None:
    arrivals = [0, 6_900, 9_800, 15_000, 21_900, 24_600, 30_000]
    progress = begin(0, T0, STRICT)
    for number, arrival in enumerate(arrivals[1:], 1):
        report(progress, number * 10, False, T0 + arrival, STRICT)
    assert progress.watch_time_s == 60


def test_peertube_lets_an_end_move_back_inside_its_section() -> None:
    steps = [(0, 10, False), (0, 30, False), (0, 20, False)]
    progress = play(steps, PEERTUBE)
    assert progress.watch_time_s == 10
    assert progress.sections() == [(10, 20)]


def test_peertube_believes_any_claim() -> None:
    assert play([(0, 0, False), (1_000, 35, False)], PEERTUBE).watch_time_s == 35


steps_of_anybody = st.lists(
    st.tuples(st.integers(-10_000, 30_000), st.integers(0, 400), st.booleans()), min_size=1, max_size=150
)


@given(steps_of_anybody, st.sampled_from([1.0, 1.5, 2.0]), st.integers(0, 10_000))
def test_strict_never_exceeds_wall_time(steps: list[Step], rate: float, slack_ms: int) -> None:
    rules = Rules(rate=rate, slack_ms=slack_ms)
    now_ms = T0
    progress = begin(steps[0][1], T0, rules)
    before = passed_ms = 0
    for wait_ms, position_s, seek in steps[1:]:
        now_ms += wait_ms
        elapsed_ms = max(0, wait_ms)
        passed_ms += elapsed_ms
        watched = report(progress, position_s, seek, now_ms, rules)
        assert before <= watched
        assert (watched - before) * 1000 <= elapsed_ms * rate + slack_ms
        assert watched * 1000 <= passed_ms * rate + slack_ms
        assert progress.last_ms - progress.first_ms == passed_ms
        before = watched


@given(steps_of_anybody)
def test_strict_is_coverage_plus_what_was_watched_again(steps: list[Step]) -> None:
    """A naive model keeps every stretch played; the union is what is covered, the rest was watched again."""
    progress = begin(steps[0][1], T0, STRICT)
    now_ms, seconds, played = T0, set[int](), 0
    for wait_ms, position_s, seek in steps[1:]:
        now_ms += wait_ms
        start = progress.end_s
        gain = -progress.watch_time_s + report(progress, position_s, seek, now_ms, STRICT)
        seconds.update(range(start, start + gain))
        played += gain
    covered = sum(end - start for start, end in progress.sections())
    assert progress.watch_time_s == played
    assert covered == len(seconds)
    assert 0 <= covered <= progress.watch_time_s


@given(steps_of_anybody)
def test_peertube_equals_a_naive_model(steps: list[Step]) -> None:
    sections: list[list[int]] = []
    progress: Progress | None = None
    for _, position_s, seek in steps:
        if not sections or seek or sections[-1][0] > position_s:
            sections.append([position_s, position_s])
        else:
            sections[-1][1] = position_s
        if progress is None:
            progress = begin(position_s, T0, PEERTUBE)
        else:
            report(progress, position_s, seek, T0, PEERTUBE)
        assert progress.watch_time_s == sum(end - start for start, end in sections)
    assert progress is not None
    seconds = {second for start, end in sections for second in range(start, end)}
    assert {second for start, end in progress.sections() for second in range(start, end)} == seconds


@given(steps_of_anybody, st.sampled_from([STRICT, PEERTUBE]))
def test_sections_are_sorted_apart_and_not_empty(steps: list[Step], rules: Rules) -> None:
    sections = play(steps, rules).sections()
    assert all(start < end for start, end in sections)
    assert all(before[1] < after[0] for before, after in pairwise(sections))


@pytest.mark.parametrize("rules", [STRICT, PEERTUBE], ids=["strict", "peertube"])
def test_nobody_is_frozen_at_the_bound_of_sections(rules: Rules) -> None:
    """Three seconds here and there, 300 times: PeerTube would drop every report after the hundredth section."""
    progress = begin(0, T0, rules)
    now_ms = T0
    for number in range(300):
        report(progress, number * 100 + number % 7, True, now_ms, rules)
        now_ms += 3_000
        report(progress, number * 100 + number % 7 + 3, False, now_ms, rules)
    assert progress.watch_time_s == 900
    assert len(progress.sections()) <= MAX_SECTIONS
    assert len(encode(progress)) < 1_000
    assert progress.sections()[-1] == (29_905, 29_908)


@given(steps_of_anybody, st.integers(0, 2**62))
def test_what_is_encoded_comes_back(steps: list[Step], next_view_ms: int) -> None:
    progress = play(steps)
    progress.next_view_ms = next_view_ms
    again = decode(encode(progress))
    assert again == progress
    assert again is not None
    assert (again.sections(), again.watch_time_s) == (progress.sections(), progress.watch_time_s)
    assert again.credit_ms == progress.credit_ms


def test_going_on_from_what_came_back_is_going_on() -> None:
    progress = play([(0, 0, False), (5_000, 5, False), (5_000, 50, True)])
    again = decode(encode(progress))
    assert again is not None
    for each in (progress, again):
        report(each, 60, False, T0 + 15_000, STRICT)
    assert again == progress


def test_the_largest_values_fit() -> None:
    progress = begin(0, T0, PEERTUBE)
    for _ in range(5):
        report(progress, MAX_POSITION_S, False, T0, PEERTUBE)
        report(progress, 0, True, T0, PEERTUBE)
    assert decode(encode(progress)) is not None


@given(st.binary(max_size=80))
def test_garbage_is_nobodys_progress(blob: bytes) -> None:
    decode(blob)
    whole = encode(play([(0, 0, False), (5_000, 5, False), (1, 50, True)]))
    assert decode(whole + b"\0") is None
    assert decode(whole[:-1]) is None
    assert decode(b"\xff" + whole[1:]) is None


@pytest.mark.parametrize("rules", [STRICT, PEERTUBE], ids=["strict", "peertube"])
def test_traits_travel_along(rules: Rules) -> None:
    progress = play([(0, 0, False), (5_000, 5, False), (5_000, 50, True)], rules)
    progress.traits = b"who knows"
    again = decode(encode(progress))
    assert again == progress
    assert again is not None
    assert (again.traits, again.sections()) == (b"who knows", [(0, 5)])
    assert decode(encode(progress)[:-1]) is None
    assert decode(encode(progress) + b"!") is None


BOTH: list[tuple[str, list[Step], tuple[int, list[tuple[int, int]]], tuple[int, list[tuple[int, int]]]]] = [
    # what happens, its steps, strict (watch time, sections), PeerTube's
    (
        "0 to 1 and 1 to 3 of five seconds",
        [(0, 0, False), (1_000, 1, False), (0, 1, True), (2_000, 3, False)],
        (3, [(0, 3)]),
        (3, [(0, 3)]),
    ),
    ("0, then 35 at once", [(0, 0, False), (0, 35, False)], (5, [(0, 5)]), (35, [(0, 35)])),
    ("two reports in one millisecond", [(0, 3, False), (0, 3, False)], (0, []), (0, [])),
    (
        "back before the section",
        [(0, 10, False), (5_000, 15, False), (5_000, 2, False), (5_000, 7, False)],
        (10, [(2, 7), (10, 15)]),
        (10, [(2, 7), (10, 15)]),
    ),
    (
        "back inside the section: PeerTube's shrinks",
        [(0, 10, False), (10_000, 20, False), (5_000, 15, False)],
        (10, [(10, 20)]),
        (5, [(10, 15)]),
    ),
    (
        "watched twice counts twice and is seen once",
        [(0, 0, False), (10_000, 10, False), (0, 0, True), (10_000, 10, False)],
        (20, [(0, 10)]),
        (20, [(0, 10)]),
    ),
    (
        "a jump ahead without saying so",
        [(0, 0, False), (5_000, 5, False), (5_000, 500, False), (5_000, 505, False)],
        (25, [(0, 20), (500, 505)]),
        (505, [(0, 505)]),
    ),
    (
        "a live stream for two hours, and its position is the wall clock's",
        [(0, 1_700_000_000, False), *((600_000, 1_700_000_000 + 600 * n, False) for n in range(1, 13))],
        (7_200, [(1_700_000_000, 1_700_007_200)]),
        (7_200, [(1_700_000_000, 1_700_007_200)]),
    ),
    (
        "the clock is set back an hour",
        [(0, 0, False), (5_000, 5, False), (-3_600_000, 10, False), (5_000, 15, False)],
        (15, [(0, 15)]),
        (15, [(0, 15)]),
    ),
    (
        "the clock is set ahead an hour",
        [(0, 0, False), (5_000, 5, False), (3_605_000, 10, False)],
        (10, [(0, 10)]),
        (10, [(0, 10)]),
    ),
]


@pytest.mark.parametrize(("what", "steps", "strict", "peertube"), BOTH)
def test_both_arithmetics(
    what: str,
    steps: list[Step],
    strict: tuple[int, list[tuple[int, int]]],
    peertube: tuple[int, list[tuple[int, int]]],
) -> None:
    for rules, expected in ((STRICT, strict), (PEERTUBE, peertube)):
        progress = play(steps, rules)
        assert (progress.watch_time_s, progress.sections()) == expected, what


@pytest.mark.parametrize("rules", [STRICT, PEERTUBE], ids=["strict", "peertube"])
def test_a_hundred_and_one_seeks_freeze_nobody(rules: Rules) -> None:
    steps: list[Step] = [(0, 0, False)]
    for at in range(101):
        steps += [(1_000, 10 * at, True), (5_000, 10 * at + 5, False)]
    progress = play(steps, rules)
    assert progress.watch_time_s == 101 * 5
    assert len(progress.sections()) <= MAX_SECTIONS
    report(progress, 10 * 100 + 8, False, progress.last_ms + 3_000, rules)
    assert progress.watch_time_s == 101 * 5 + 3
