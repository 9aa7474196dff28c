"""Dates as people and PeerTube's clients write them in a query: ISO 8601 with everything optional that may be. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

MAX_CHARS = 40

_DATE = r"""
    (?P<year>\d{4})
    (?: (?P<hyphen>-?) (?:
        (?P<month>\d{2}) (?: (?P=hyphen) (?P<day>\d{2}) )?
      | W (?P<week>\d{2}) (?: -? (?P<weekday>[1-7]) )?
      | (?P<ordinal>\d{3})
    ) )?
"""
_TIME = r"""
    (?P<hour>\d{2}) (?: (?P<colon>:?) (?P<minute>\d{2}) (?: (?P=colon) (?P<second>\d{2}) )? )?
    (?: [.,] (?P<fraction>\d{1,9}) )?
"""
_ZONE = r"""[zZ] | (?P<sign>[+\ -]) (?P<zone_hour>\d{2}) :? (?P<zone_minute>\d{2})?"""
# A form decoder turns the + of a zone into a blank: there is nothing else that a blank behind a time could be.
_INSTANT = re.compile(rf"{_DATE} (?: [T\ ] {_TIME} (?: {_ZONE} )? )?", re.ASCII | re.VERBOSE)


def parse_loose_iso_ms(text: str) -> int | None:
    """Unix milliseconds of an ISO 8601 date or instant; None for what is neither, or does not exist (30 February).

    Year, month, day, ordinal day (``2026-127``) or week date (``2026-W10``, ``2026-W10-3``), in basic or extended form,
    with or without a time; a part left out is the first one possible, and without a zone it is UTC. PeerTube takes the
    same texts (validator.js, not strict), but reads a time without a zone in its server's own zone.
    """
    match = _INSTANT.fullmatch(text) if len(text) <= MAX_CHARS else None
    # Six digits are a year with a month or a short year, month and day: nobody can tell.
    if match is None or (match["month"] and not match["day"] and not match["hyphen"]):
        return None
    try:
        day = _day(match)
        instant = datetime(day.year, day.month, day.day, tzinfo=_zone(match)) + _time(match)
        return int((instant - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    except (ValueError, OverflowError):
        return None


def _day(match: re.Match[str]) -> date:
    year = int(match["year"])
    if match["week"]:
        return date.fromisocalendar(year, int(match["week"]), int(match["weekday"] or 1))
    if match["ordinal"]:
        day = date(year, 1, 1) + timedelta(days=int(match["ordinal"]) - 1)
        if day.year != year:
            raise ValueError("no such day of the year")
        return day
    return date(year, int(match["month"] or 1), int(match["day"] or 1))


def _time(match: re.Match[str]) -> timedelta:
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    if minute > 59 or second > 59 or hour > 24 or (hour == 24 and (minute or second or match["fraction"])):
        raise ValueError("no such time of the day")
    unit_s = 1 if match["second"] else 60 if match["minute"] else 3_600
    fraction = float(f"0.{match['fraction'] or 0}") * unit_s
    return timedelta(hours=hour, minutes=minute, seconds=second, milliseconds=int(fraction * 1000))


def _zone(match: re.Match[str]) -> timezone:
    if match["sign"] is None:
        return UTC
    hours, minutes = int(match["zone_hour"]), int(match["zone_minute"] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError("no such zone")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if match["sign"] == "-" else offset)
