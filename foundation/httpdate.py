"""Dates of HTTP: the one form that is sent (IMF-fixdate, RFC 9110 section 5.6.7), and ``Retry-After``.

The two obsolete forms (RFC 850, asctime) are not read: nobody who signs requests sends them, and the first leaves the
century open.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}
_IMF_FIXDATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) "
    r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60) GMT",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()
_DIGITS = re.compile(r"\d+", re.ASCII)

#: The longest ``Retry-After`` that is believed, in seconds: one day.
MAX_RETRY_AFTER_S = 86_400


def http_date_ms(text: str) -> int | None:
    """Unix milliseconds of an IMF-fixdate (``Sun, 06 Nov 1994 08:49:37 GMT``); None for any other text.

    Strict: case, spacing, the weekday and the calendar must be right. A leap second is the first of the next minute.
    """
    return _parse(text) if len(text) == 29 else None


@lru_cache(maxsize=512)
def _parse(text: str) -> int | None:
    match = _IMF_FIXDATE.fullmatch(text)
    if match is None:
        return None
    weekday, day, month, year, hour, minute, second = match.groups()
    try:
        ordinal = date(int(year), _MONTH_NUMBERS[month], int(day)).toordinal()
    except ValueError:
        return None
    if _DAYS[(ordinal + 6) % 7] != weekday:
        return None
    return (((ordinal - _EPOCH) * 24 + int(hour)) * 60 + int(minute)) * 60_000 + int(second) * 1000


def format_http_date(instant_ms: int) -> str:
    """The IMF-fixdate of a Unix instant in milliseconds, cut to the second. ValueError outside the years 1 to 9999."""
    return _format(instant_ms // 1000)


@lru_cache(maxsize=64)
def _format(instant_s: int) -> str:
    days, rest = divmod(instant_s, 86_400)
    day = date.fromordinal(days + _EPOCH)
    return (
        f"{_DAYS[day.weekday()]}, {day.day:02d} {_MONTHS[day.month - 1]} {day.year:04d} "
        f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d} GMT"
    )


def retry_after_s(text: str | None, now_ms: int, *, max_s: int = MAX_RETRY_AFTER_S) -> int | None:
    """Seconds to wait by a ``Retry-After`` header (RFC 9110 section 10.2.3), between 0 and ``max_s``.

    Both forms are read, seconds and a date (measured from ``now_ms``); None without the header or for any other text.
    """
    if text is None:
        return None
    text = text.strip(" \t")
    if _DIGITS.fullmatch(text):
        return max_s if len(text) > 9 else min(int(text), max_s)
    instant_ms = http_date_ms(text)
    if instant_ms is None:
        return None
    return min(max(0, -((now_ms - instant_ms) // 1000)), max_s)
