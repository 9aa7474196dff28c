"""What scripts answer about one video, as readings; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from views.counters.base import Reading, Total
from views.model import LOCAL


class Row:
    """What the shards of one video say, added up."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.total: Total | None = None

    def add(self, row: Sequence[Any]) -> None:
        if row[1] is not None:
            count, expires_ms, order_ms, ours, granted_ms = map(int, row[1])
            self.total = Total(count, expires_ms, order_ms, ours, granted_ms)
        for source, count in zip(row[2::2], row[3::2], strict=True):
            name = source.decode()
            self.counts[name] = self.counts.get(name, 0) + count

    def reading(self) -> Reading:
        local = self.counts.get(LOCAL, 0)
        if self.total is not None:
            return Reading(local, {}, self.total)
        return Reading(local, {source: count for source, count in self.counts.items() if source != LOCAL}, None)
