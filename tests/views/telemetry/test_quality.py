from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from views.telemetry.quality import FIELDS, Played, judge, score, sentence

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

MINUTE = 60_000


@pytest.mark.parametrize(
    ("played", "expected"),
    [
        (Played(MINUTE), 5.0),
        (Played(), 5.0),
        (Played(MINUTE, stalls=1, stall_ms=3_000), 5 - 1.25 - 0.5),
        (Played(MINUTE, stalls=2, stall_ms=30_000), 5 - 2.5 - 1.0),
        (Played(MINUTE, startup_ms=6_000, startups=1), 4.5),
        (Played(MINUTE, startup_ms=12_000, startups=2), 4.5),
        (Played(MINUTE, switches=1), 5.0),
        (Played(MINUTE, switches=6), 4.5),
        (Played(MINUTE, frames=1_000, dropped_frames=10), 5.0),
        (Played(MINUTE, frames=1_000, dropped_frames=400), 4.0),
        (Played(2 * MINUTE, errors=1), 4.0),
        (Played(MINUTE, stalls=9, stall_ms=MINUTE, errors=9, frames=1, dropped_frames=1), 1.0),
    ],
)
def test_the_formula(played: Played, expected: float) -> None:
    assert score(played) == pytest.approx(expected)


_PLAYED = st.builds(Played, **{name: st.integers(0, 10**9) for name in FIELDS})


@PATIENT
@given(_PLAYED, _PLAYED)
def test_a_score_is_within_its_bounds_and_nothing_bad_raises_it(one: Played, worse: Played) -> None:
    assert 1 <= score(one) <= 5
    trouble = Played(stalls=worse.stalls, stall_ms=worse.stall_ms, errors=worse.errors, switches=worse.switches)
    assert score(one + trouble) <= score(one) + 1e-9


def viewers(*played: Played, height: int = 720) -> dict[str, dict[int, Played]]:
    return {f"VS_{number}": {height: each} for number, each in enumerate(played)}


def test_nobody_has_said_anything() -> None:
    quality = judge({})
    assert (quality.viewers, quality.score) == (0, None)
    assert quality.health == "No player has said yet how well it plays."


def test_each_viewer_counts_once_however_long_it_watched() -> None:
    good, bad = Played(60 * MINUTE), Played(MINUTE, stalls=2, stall_ms=30_000)
    quality = judge(viewers(good, good, bad))
    assert quality.score is not None
    assert (quality.score.minimum, quality.score.median, quality.score.maximum) == (1.5, 5.0, 5.0)
    assert quality.score.average == pytest.approx(11.5 / 3)
    assert quality.latency_ms is None


def test_one_viewer_at_two_heights_is_one_viewer() -> None:
    quality = judge({"VS_1": {720: Played(MINUTE), 1080: Played(MINUTE, stalls=1, stall_ms=6_000)}})
    assert (quality.viewers, quality.stalled) == (1, 1)
    assert [(each.height, each.viewers, each.stalled) for each in quality.heights] == [(720, 1, 0), (1080, 1, 1)]
    assert quality.stalled_share is not None
    assert quality.stalled_share.maximum == pytest.approx(0.05)


def test_the_sentence_says_how_many_stall_and_where() -> None:
    fine = {f"fine {number}": {720: Played(MINUTE)} for number in range(97)}
    stalled = {f"stalled {number}": {1080: Played(MINUTE, stalls=1, stall_ms=900)} for number in range(2)}
    at_720 = {"other": {720: Played(MINUTE, stalls=1, stall_ms=900)}}
    assert judge(fine | stalled | at_720).health == "3 % of viewers stall, mostly at 1080p."
    assert judge(viewers(Played(MINUTE, stalls=1, stall_ms=5))).health == "100 % of viewers stall."


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "It plays well for everybody who says how it plays."),
        ({"stalled": 1}, "It plays well for everybody who says how it plays."),
        ({"stalled": 6}, "less than 1 % of viewers stall."),
        ({"failed": 20, "stalled": 20}, "2 % of viewers have errors."),
        ({"slow": 500, "stalled": 20}, "50 % of viewers wait long for the start."),
        ({"dropping": 100}, "10 % of viewers drop frames."),
    ],
)
def test_the_worst_trouble_is_what_is_said(counts: dict[str, int], said: str) -> None:
    assert sentence(1_000, {"stalled": 0, "failed": 0, "dropping": 0, "slow": 0, **counts}, None) == said
