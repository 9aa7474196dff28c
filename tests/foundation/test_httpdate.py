from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.httpdate import MAX_RETRY_AFTER_S, format_http_date, http_date_ms, retry_after_s

NOW_MS = 784_111_777_000  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("text", "instant_ms"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", NOW_MS),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", -1000),
        ("Thu, 29 Feb 2024 12:00:00 GMT", 1_709_208_000_000),
        ("Sat, 31 Dec 2016 23:59:60 GMT", 1_483_228_800_000),
        *((text, None) for text in ("", "x", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994")),
        ("Mon, 06 Nov 1994 08:49:37 GMT", None),
        ("sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None),
        ("Sun, 06 Nov 1994 08:49:37 +00", None),
        ("Sun, 6 Nov 1994 08:49:37 GMT", None),
        ("Sun,  6 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 24:00:00 GMT", None),
        ("Sun, 06 Nov 1994 08:60:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:61 GMT", None),
        ("Wed, 30 Feb 1994 08:49:37 GMT", None),
        ("Sat, 00 Jan 0000 00:00:00 GMT", None),
        ("Sun, ٠٦ Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT\n", None),
        ("2026-11-23T04:27:32.000Z", None),
    ],
)
def test_only_the_fixed_form_is_read(text: str, instant_ms: int | None) -> None:
    assert http_date_ms(text) == instant_ms


@given(st.integers(min_value=0, max_value=253_402_300_799))
def test_written_dates_are_read_back_and_agree_with_the_standard_library(instant_s: int) -> None:
    text = format_http_date(instant_s * 1000 + 999)
    assert http_date_ms(text) == instant_s * 1000
    assert text == formatdate(instant_s, usegmt=True)


@given(st.text(min_size=29, max_size=29))
def test_any_text_has_an_answer(text: str) -> None:
    assert http_date_ms(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("0", 0),
        (" 120 ", 120),
        ("1000000000", MAX_RETRY_AFTER_S),
        ("9" * 5000, MAX_RETRY_AFTER_S),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 0),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S),
    ],
)
def test_retry_after(text: str | None, seconds: int | None) -> None:
    assert retry_after_s(text, NOW_MS) == seconds


def test_a_started_second_counts() -> None:
    assert retry_after_s("Sun, 06 Nov 1994 08:49:38 GMT", NOW_MS + 1) == 1
