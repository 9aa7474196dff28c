from __future__ import annotations

import pytest

from outbox.batching import DOUBTS, FIRST_SINGLES_MS, MAX_SINGLES_MS, BatchMemory

HOST = "p.example"


@pytest.mark.parametrize(
    ("refusals", "wait_ms"),
    [(1, FIRST_SINGLES_MS), (2, 2 * FIRST_SINGLES_MS), (3, 4 * FIRST_SINGLES_MS), (40, MAX_SINGLES_MS)],
)
def test_a_refusal_is_remembered_longer_each_time_and_tried_again(refusals: int, wait_ms: int) -> None:
    memory = BatchMemory()
    for _ in range(refusals):
        memory.refused(HOST, 1_000)
    assert not memory.may_try(HOST, 1_000 + wait_ms - 1)
    assert memory.may_try(HOST, 1_000 + wait_ms)
    assert memory.may_try("other.example", 1_000)


def test_one_that_arrives_is_the_end_of_it() -> None:
    memory = BatchMemory()
    memory.refused(HOST, 0)
    memory.taken(HOST)
    assert memory.may_try(HOST, 0)
    assert len(memory) == 0


def test_errors_in_a_row_are_a_refusal() -> None:
    memory = BatchMemory()
    for _ in range(DOUBTS - 1):
        memory.broke(HOST, 0)
    assert memory.may_try(HOST, 0)
    memory.taken(HOST)
    for _ in range(DOUBTS):
        assert memory.may_try(HOST, 0)
        memory.broke(HOST, 0)
    assert not memory.may_try(HOST, 0)


def test_memory_is_bounded_the_oldest_go_first() -> None:
    memory = BatchMemory(max_hosts=3)
    for number in range(5):
        memory.refused(f"host{number}", 0)
    assert len(memory) == 3
    assert [memory.may_try(f"host{number}", 0) for number in range(5)] == [True, True, False, False, False]
