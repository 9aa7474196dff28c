from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundation.fair import FairStore

BOUND = 20


def test_the_oldest_go_first_where_all_is_one_groups() -> None:
    store: FairStore[str] = FairStore(3)
    assert [store.add(number, str(number)) for number in range(5)] == [[], [], [], [0], [1]]
    assert list(store.newest()) == ["4", "3", "2"]


def test_nothing_fits_where_there_is_no_room() -> None:
    store: FairStore[str] = FairStore(0)
    assert store.add(1, "x") == [1]
    assert (len(store), store.cost) == (0, 0)
    assert store.pop(1) is None


def test_what_is_too_large_drives_out_nobody_else() -> None:
    store: FairStore[str] = FairStore(10)
    store.add(1, "small", "a", 2)
    assert store.add(2, "huge", "b", 11) == [2]
    assert list(store.newest()) == ["small"]


def test_what_is_new_is_kept_where_everybody_has_as_much() -> None:
    store: FairStore[str] = FairStore(3)
    for number in range(9):
        store.add(number, f"of group {number}", f"{number}")
    assert list(store.newest()) == ["of group 8", "of group 7", "of group 6"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.booleans()), max_size=120))
def test_whoever_has_no_more_than_a_fair_share_loses_nothing(steps: list[tuple[str, int, bool]]) -> None:
    store: FairStore[tuple[str, int]] = FairStore(BOUND)
    kept: dict[int, tuple[str, int]] = {}
    for number, (group, cost, take_out) in enumerate(steps):
        if take_out and kept:
            oldest = next(iter(kept))
            assert store.pop(oldest) == kept.pop(oldest)
        kept[number] = (group, cost)
        gone = store.add(number, (group, cost), group, cost)
        for lost in gone:
            loser = kept[lost][0]
            weights = {name: sum(c for g, c in kept.values() if g == name) for name in "abc"}
            assert weights[loser] == max(weights.values())
            assert weights[loser] * 3 > BOUND
            heaviest = {name for name, weight in weights.items() if weight == weights[loser]}
            assert lost == next(n for n, (g, _) in kept.items() if g in heaviest), "the oldest of the heaviest"
            del kept[lost]
        assert store.cost == sum(cost for _, cost in kept.values()) <= BOUND
        assert list(store.newest()) == list(reversed(kept.values()))


def test_within_a_group_the_largest_part_loses_first() -> None:
    store: FairStore[str] = FairStore(4)
    store.add(1, "quiet", "network", within="quiet.example")
    for number in range(2, 9):
        store.add(number, "loud", "network", within="loud.example")
    store.add(9, "other", "elsewhere", within="loud.example")
    assert list(store.newest()) == ["other", "loud", "loud", "quiet"]
    assert store.pop(1) == "quiet"
    store.add(10, "loud", "network", within="loud.example")
    store.add(11, "loud", "network", within="loud.example")
    assert list(store.newest()) == ["loud", "loud", "other", "loud"]
