"""Any span is a sum over few buckets."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from views.pages.buckets import LAST_MINUTE, LEVELS, RADIX, buckets_of, cover

MINUTES = st.integers(0, 40_000_000)


@given(MINUTES, MINUTES, MINUTES)
def test_a_minute_is_in_exactly_one_bucket_of_a_span_that_holds_it(begin: int, end: int, minute: int) -> None:
    buckets = dict(buckets_of(minute))
    holding = [span for span in cover(begin, end) if span.first <= buckets[span.level] <= span.last]
    assert len(holding) == (begin <= minute < end)


@given(MINUTES, MINUTES)
def test_a_span_has_few_buckets(begin: int, end: int) -> None:
    rows = sum(span.last - span.first + 1 for span in cover(begin, end))
    length = max(end - begin, 1)
    assert rows <= 2 * (RADIX - 1) * (math.log(length, RADIX) + 1)
    assert len(cover(begin, end)) <= 2 * LEVELS - 1


@given(MINUTES)
def test_a_span_without_an_end_only_has_its_left_edge(begin: int) -> None:
    spans = cover(begin, LAST_MINUTE)
    assert len(spans) <= LEVELS
    assert sum(span.last - span.first + 1 for span in spans[:-1]) <= (RADIX - 1) * (LEVELS - 1)


def test_nothing_is_in_an_empty_span() -> None:
    assert cover(5, 5) == cover(6, 5) == []
