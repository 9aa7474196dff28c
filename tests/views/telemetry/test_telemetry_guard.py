from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from views.telemetry.guard import ReferenceCount, ReferenceGuard

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_a_viewer_is_here_while_one_source_holds_it() -> None:
    count, heartbeat, stream = ReferenceCount(), ReferenceGuard(), ReferenceGuard()
    count.activate(heartbeat)
    count.activate(stream)
    count.activate(stream)
    assert not count.release(heartbeat)
    assert not count.release(heartbeat)
    assert count.release(stream)
    assert not count.release(stream)


def test_a_leave_without_a_join_ends_nothing() -> None:
    count, heartbeat, stranger = ReferenceCount(), ReferenceGuard(), ReferenceGuard()
    count.activate(heartbeat)
    assert not count.release(stranger)
    assert len(count) == 1
    assert count.release(heartbeat)


def test_a_guard_is_good_for_one_stay() -> None:
    count, guard = ReferenceCount(), ReferenceGuard()
    count.activate(guard)
    assert count.release(guard)
    count.activate(guard)
    assert len(count) == 0
    guard.reset()
    count.activate(guard)
    assert len(count) == 1


def test_no_guard_only_looks() -> None:
    count = ReferenceCount()
    count.activate(None)
    assert len(count) == 0
    assert not count.release(None)


@PATIENT
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3))))
def test_holds_are_those_that_came_and_have_not_gone(calls: list[tuple[bool, int]]) -> None:
    count, guards = ReferenceCount(), [ReferenceGuard() for _ in range(4)]
    joined: set[int] = set()
    left: set[int] = set()
    for joins, source in calls:
        before = len(joined - left)
        if joins:
            count.activate(guards[source])
            joined.add(source)
        else:
            was_last = count.release(guards[source])
            left |= {source} & joined
            assert was_last == (before == 1 and not joined - left)
        assert len(count) == len(joined - left)
