"""What is counted by time, and how a change becomes rows of sums. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from views.pages.buckets import buckets_of


class Kind(enum.IntEnum):
    """Numbers are written in rows: never reuse one."""

    VIEWS = 0
    """Of the whole site; one series."""
    PATH = 1
    REFERRER = 2
    COUNTRY = 3
    FIRST = 4
    """Visitors at the minute of their first view; one series."""
    LAST = 5
    """Visitors at the minute of their last view, so that all since then are those of a period that ends now."""
    HOME = 6
    """Likewise, those of one country: the one of a visitor's last view."""


@dataclass(slots=True)
class Deltas:
    """What is to be added: per series and minute, and to totals of series with the instant of their last view."""

    minutes: Counter[tuple[int, int]] = field(default_factory=Counter)
    totals: Counter[int] = field(default_factory=Counter)
    last_ms: dict[int, int] = field(default_factory=dict)

    def add(self, series: int, minute: int, at_ms: int, n: int = 1) -> None:
        self.minutes[series, minute] += n
        self.totals[series] += n
        self.last_ms[series] = max(at_ms, self.last_ms.get(series, 0))

    def take(self, series: int, minute: int) -> None:
        """One that was added there before."""
        self.minutes[series, minute] -= 1
        self.totals[series] -= 1
        self.last_ms.setdefault(series, 0)

    def move(self, series: int, from_minute: int, to_minute: int) -> None:
        """One that was counted at one minute is counted at another."""
        self.minutes[series, from_minute] -= 1
        self.minutes[series, to_minute] += 1

    def rows(self) -> list[tuple[int, int, int, int]]:
        """(series, level, bucket, n), sorted by key, none of them zero."""
        return rows_of((series, minute, n) for (series, minute), n in self.minutes.items() if n)


def rows_of(counts: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int, int]]:
    """The buckets of every level that counts per series and minute are added to."""
    found: Counter[tuple[int, int, int]] = Counter()
    for series, minute, n in counts:
        for level, bucket in buckets_of(minute):
            found[series, level, bucket] += n
    return [(*key, n) for key, n in sorted(found.items()) if n]
