"""Nobody can be told by the place in statistics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from views.routes.stats_body import ELSEWHERE, crowded
from views.stats.model import Overall, Share

SHARES = st.dictionaries(st.sampled_from(["FR", "DE", "US", "JP", "BR"]), st.integers(1, 20))


def overall(countries: dict[str, int], subdivisions: dict[str, int] | None = None) -> Overall:
    def shares(counts: dict[str, int]) -> tuple[Share, ...]:
        return tuple(Share(name, count) for name, count in counts.items())

    return Overall(0, 0, sum(countries.values()), 0, None, shares(countries), shares(subdivisions or {}), 0)


def shown(of: Overall, at_least: int) -> tuple[dict[str, int], dict[str, int]]:
    folded = crowded(of, at_least)
    return (
        {each.name: each.viewers for each in folded.countries},
        {each.name: each.viewers for each in folded.subdivisions},
    )


def test_small_countries_are_one() -> None:
    assert shown(overall({"FR": 9, "DE": 2, "US": 1}), 3) == ({"FR": 9, ELSEWHERE: 3}, {})


def test_too_few_together_are_not_shown() -> None:
    assert shown(overall({"FR": 9, "DE": 2}), 3) == ({"FR": 9}, {})


def test_small_subdivisions_are_left_out() -> None:
    assert shown(overall({"FR": 5}, {"Brittany": 4, "Corsica": 1}), 3)[1] == {"Brittany": 4}


def test_one_shows_all_as_peertube_does() -> None:
    countries, subdivisions = {"FR": 1, "DE": 2}, {"Brittany": 1}
    assert shown(overall(countries, subdivisions), 1) == (countries, subdivisions)


@given(SHARES, SHARES, st.integers(1, 10))
def test_no_place_has_fewer(countries: dict[str, int], subdivisions: dict[str, int], at_least: int) -> None:
    for places in shown(overall(countries, subdivisions), at_least):
        assert all(count >= at_least for count in places.values())
        assert sum(places.values()) <= sum(countries.values()) or places == {} or places.keys() <= subdivisions.keys()
