from __future__ import annotations

import pytest

from outbox.retry import Meaning, RetryPolicy, may_be_poison, meaning


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Meaning.DELIVERED),
        (202, Meaning.DELIVERED),
        (204, Meaning.DELIVERED),
        (None, Meaning.LATER),
        (408, Meaning.LATER),
        (425, Meaning.LATER),
        (429, Meaning.LATER),
        (500, Meaning.LATER),
        (503, Meaning.LATER),
        (599, Meaning.LATER),
        (401, Meaning.CLOSED),
        (403, Meaning.CLOSED),
        (404, Meaning.GONE),
        (410, Meaning.GONE),
        (400, Meaning.REFUSED),
        (405, Meaning.REFUSED),
        (413, Meaning.REFUSED),
        (422, Meaning.REFUSED),
        (301, Meaning.REFUSED),
        (100, Meaning.REFUSED),
    ],
)
def test_meaning_of_statuses(status: int | None, expected: Meaning) -> None:
    assert meaning(status) is expected


def test_waits_double_up_to_the_maximum() -> None:
    policy = RetryPolicy(first_ms=1000, max_ms=10_000)
    assert [policy.wait_ms(n, lambda: 0.0) for n in (1, 2, 3, 4, 5, 500)] == [1000, 2000, 4000, 8000, 10_000, 10_000]


def test_jitter_takes_away_at_most_its_share() -> None:
    policy = RetryPolicy(first_ms=1000, max_ms=10_000, jitter=0.5)
    assert policy.wait_ms(1, lambda: 0.999) in range(500, 502)
    assert policy.wait_ms(1, lambda: 0.5) == 750


@pytest.mark.parametrize(("asked_s", "expected_ms"), [(None, 1000), (0, 1000), (5, 5000), (86_400, 10_000)])
def test_retry_after_is_a_minimum_within_the_maximum(asked_s: int | None, expected_ms: int) -> None:
    assert RetryPolicy(first_ms=1000, max_ms=10_000).wait_ms(1, lambda: 0.0, asked_s) == expected_ms


def test_giving_up() -> None:
    policy = RetryPolicy(give_up_ms=1000)
    assert not policy.too_old(0, 999)
    assert policy.too_old(0, 1000)


def test_only_a_server_that_broke_may_have_been_poisoned() -> None:
    assert [status for status in (None, 429, 500, 501, 502, 503, 504, 520) if may_be_poison(status)] == [500, 501, 520]
