from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from foundation.clock import ManualClock
from outbox.ledger import Ledger
from outbox.traffic import SLOT_MS, SLOTS, Traffic

HOUR_MS = SLOTS * SLOT_MS
posts = st.lists(st.tuples(st.integers(0, 2 * HOUR_MS), st.integers(0, 100_000)), max_size=40)


@given(posts)
def test_an_hour_holds_all_of_55_minutes_and_nothing_older_than_60(gaps: list[tuple[int, int]]) -> None:
    traffic, at_ms, sent = Traffic(), 0, []
    for gap_ms, size in gaps:
        at_ms += gap_ms
        traffic.note(size, at_ms)
        sent.append((at_ms, size))
        count, total = traffic.hour(at_ms)
        surely = [one for then, one in sent if at_ms - then <= HOUR_MS - SLOT_MS]
        perhaps = [one for then, one in sent if at_ms - then < HOUR_MS]
        assert len(surely) <= count <= len(perhaps)
        assert sum(surely) <= total <= sum(perhaps)
    assert traffic.hour(at_ms + HOUR_MS) == (0, 0)


def test_accounts_are_bounded_and_the_longest_silent_goes_first() -> None:
    ledger = Ledger(ManualClock(), max_hosts=2)
    for host in ("a", "b", "a", "c"):
        ledger.posted(host, 10)
    assert ledger.hosts() == ["a", "c"]
    assert ledger.changed == {"a", "c"}
    assert ledger.hour("a") == (2, 20)
    assert ledger.hour("b") == (0, 0)


def test_an_error_outlives_its_trouble() -> None:
    clock = ManualClock(1_000)
    ledger = Ledger(clock)
    ledger.failed("a", "timeout")
    clock.advance(5_000)
    ledger.arrived("a")
    account = ledger.get("a")
    assert account is not None
    assert (account.error, account.error_ms, account.arrived_ms) == ("timeout", 1_000, 6_000)
