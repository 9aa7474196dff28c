from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.clock import iso_ms, parse_iso_ms
from views.instants import parse_loose_iso_ms


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026", "2026-01-01T00:00:00.000Z"),
        ("2026-05", "2026-05-01T00:00:00.000Z"),
        ("2026-05-06", "2026-05-06T00:00:00.000Z"),
        ("20260506", "2026-05-06T00:00:00.000Z"),
        ("2026-W10", "2026-03-02T00:00:00.000Z"),
        ("2026-W10-3", "2026-03-04T00:00:00.000Z"),
        ("2026W103", "2026-03-04T00:00:00.000Z"),
        ("2026-127", "2026-05-07T00:00:00.000Z"),
        ("2024366", "2024-12-31T00:00:00.000Z"),
        ("2026-05-06T10", "2026-05-06T10:00:00.000Z"),
        ("2026-05-06T10.5", "2026-05-06T10:30:00.000Z"),
        ("2026-05-06 10:30", "2026-05-06T10:30:00.000Z"),
        ("2026-05-06T103015", "2026-05-06T10:30:15.000Z"),
        ("2026-05-06T24:00", "2026-05-07T00:00:00.000Z"),
        ("2026-05-06T10:30:15.250Z", "2026-05-06T10:30:15.250Z"),
        ("2026-05-06T10:30:15,25z", "2026-05-06T10:30:15.250Z"),
        ("2026-05-06T10:30:15+02:00", "2026-05-06T08:30:15.000Z"),
        ("2026-05-06T10:30:15 02:00", "2026-05-06T08:30:15.000Z"),
        ("2026-05-06T10:30-0330", "2026-05-06T14:00:00.000Z"),
        ("2026-05-06T10:30+02", "2026-05-06T08:30:00.000Z"),
    ],
)
def test_what_is_a_date(text: str, instant: str) -> None:
    said = parse_loose_iso_ms(text)
    assert said is not None
    assert iso_ms(said) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1700000000000",
        "202605",
        "2026-5-6",
        "2026-0506",
        "2026-13",
        "2026-02-30",
        "2026-366",
        "2026-000",
        "2026-W54",
        "2026-W10-8",
        "0000-01-01",
        "9999-12-31T24:00",
        "2026-05-06T25:00",
        "2026-05-06T24:01",
        "2026-05-06T10:60",
        "2026-05-06T10:30:61",
        "2026-05-06T10:30:15+24:00",
        "2026-05-06T10:30:15+02:00:00",
        "2026-05-06T",
        "2026-05-06Z",
        "2026-05-06\n",
        "２０２６-05-06",
        "2026-05-06T10:30:15." + "1" * 40,
    ],
)
def test_what_is_none(text: str) -> None:
    assert parse_loose_iso_ms(text) is None


@given(st.datetimes(timezones=st.timezones()))
def test_it_reads_what_everybody_writes(instant) -> None:
    text = instant.isoformat(timespec="milliseconds")
    strict = parse_iso_ms(text)
    loose = parse_loose_iso_ms(text)
    # Zones of long ago have seconds, which ISO 8601 does not know.
    if len(text) == 29:
        assert loose is not None
        assert strict is not None
        assert abs(loose - strict) <= 1


@given(st.text(max_size=45) | st.from_regex(r"\d{4}-?[W\d]{0,5}-?\d{0,3}T?[\d:.,+ Z-]{0,20}", fullmatch=True))
def test_nothing_breaks_it(text: str) -> None:
    said = parse_loose_iso_ms(text)
    assert said is None or isinstance(said, int)
