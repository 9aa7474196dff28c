"""Sums over any span of time, read from rolled-up units and, at its ragged ends, from single stays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, cast, func, select

from foundation.among import among
from foundation.database import Transaction
from views.stats.model import Scope
from views.stats.peak import Bucket, rise_of
from views.stats.tables import retention_steps, stay_times, stay_traits, viewer_stays
from views.stats.traits import Kind
from views.stats.units import FOREVER_MS, TIME_UNITS, TRAIT_UNITS, Piece, pieces
from views.tables import videos

_NAMES = {
    Kind.COUNTRY: viewer_stays.c.country,
    Kind.SUBDIVISION: viewer_stays.c.subdivision,
    Kind.CLIENT: viewer_stays.c.client,
    Kind.DEVICE: viewer_stays.c.device,
    Kind.OPERATING_SYSTEM: viewer_stays.c.operating_system,
}


@dataclass(frozen=True, slots=True)
class Tally:
    """Stays that start, and that end, in a span, and their watch time."""

    starts: int = 0
    start_watch_s: int = 0
    ends: int = 0
    end_watch_s: int = 0


class Reader:
    """Reads for one scope in one read transaction."""

    def __init__(self, tx: Transaction, scope: Scope) -> None:
        self._tx = tx
        self._videos = scope.videos

    async def tally(self, from_ms: int | None, to_ms: int | None, *, starts: bool = True, ends: bool = True) -> Tally:
        """Of ``[from_ms, to_ms)``; what is not asked for is 0."""
        total = [0, 0, 0, 0]
        for piece in pieces(from_ms, to_ms, TIME_UNITS):
            for index, value in enumerate(await self._tally(piece, starts, ends)):
                total[index] += value
        return Tally(*total)

    async def _tally(self, piece: Piece, starts: bool, ends: bool) -> Sequence[int]:
        if piece.unit is not None:
            times = stay_times.c
            asked = select(_sum(times.starts), _sum(times.start_watch_s), _sum(times.ends), _sum(times.end_watch_s))
            return tuple((await self._tx.execute(asked.where(self._times(piece)))).one())
        found: list[int] = []
        for wanted, when in ((starts, viewer_stays.c.start_ms), (ends, viewer_stays.c.end_ms)):
            if wanted:
                single = select(func.count(), _sum(viewer_stays.c.watch_time_s)).where(self._stays(piece, when))
                found += (await self._tx.execute(single)).one()
            else:
                found += (0, 0)
        return found

    async def names(self, kinds: Sequence[Kind], from_ms: int | None, to_ms: int | None) -> dict[Kind, Counter[str]]:
        """Of stays that overlap ``[from_ms, to_ms)``: those that start before its end less those that end before it
        begins."""
        found: dict[Kind, Counter[str]] = {kind: Counter() for kind in kinds}
        spans = [(None, to_ms, 1)]
        if from_ms is not None:
            spans.append((None, from_ms, -1))
        for begin, end, sign in spans:
            for piece in pieces(begin, end, TRAIT_UNITS):
                for kind, name, number in await self._names(kinds, piece, starts=sign > 0):
                    found[kind][name] += sign * number
        return found

    async def _names(self, kinds: Sequence[Kind], piece: Piece, *, starts: bool) -> Iterable[tuple[Kind, str, int]]:
        if piece.unit is not None:
            traits = stay_traits.c
            number = traits.starts if starts else traits.ends
            asked: Select[Any] = (
                select(traits.kind, traits.name, _sum(number))
                .where(self._where(traits.video_number), traits.kind.in_([kind.value for kind in kinds]))
                .where(traits.unit_s == piece.unit.value, *_within(traits.at_ms, piece))
                .group_by(traits.kind, traits.name)
            )
            return [(Kind(row[0]), str(row[1]), int(row[2])) for row in await self._tx.execute(asked)]
        when = viewer_stays.c.start_ms if starts else viewer_stays.c.end_ms
        columns = [_NAMES[kind] for kind in kinds]
        asked = select(*columns, func.count()).where(self._stays(piece, when)).group_by(*columns)
        found: list[tuple[Kind, str, int]] = []
        for row in await self._tx.execute(asked):
            names: Sequence[str | None] = row[:-1]
            found += [(kind, name, row[-1]) for kind, name in zip(kinds, names, strict=True) if name is not None]
        return found

    async def by_unit(self, piece: Piece) -> Sequence[tuple[int, Tally]]:
        """The tally of each unit of a piece that has any, in order of time."""
        times = stay_times.c
        asked = (
            select(
                times.at_ms, _sum(times.starts), _sum(times.start_watch_s), _sum(times.ends), _sum(times.end_watch_s)
            )
            .where(self._times(piece))
            .group_by(times.at_ms)
            .order_by(times.at_ms)
        )
        return [(at_ms, Tally(*sums)) for at_ms, *sums in await self._tx.execute(asked)]

    async def buckets(self, piece: Piece) -> Sequence[Bucket]:
        """For the search of the peak; a piece of single stays is one exact bucket."""
        if piece.unit is None:
            starts, ends = await self.instants(piece, starts=True), await self.instants(piece, starts=False)
            if not starts and not ends:
                return []
            rise, when_ms, started, ended = rise_of(piece.from_ms, starts, ends)
            return [Bucket(None, piece.from_ms, started, ended, rise, when_ms, exact=True)]
        times = stay_times.c
        bound = func.coalesce(times.rise, times.starts)
        asked = (
            select(
                times.at_ms,
                _sum(times.starts),
                _sum(times.ends),
                _sum(bound),
                func.min(times.rise_ms),
                func.count(),
                func.count(times.rise),
            )
            .where(self._times(piece))
            .group_by(times.at_ms)
            .order_by(times.at_ms)
        )
        return [
            Bucket(piece.unit, at_ms, starts, ends, most, at_ms if when is None else when, rows == known == 1)
            for at_ms, starts, ends, most, when, rows, known in await self._tx.execute(asked)
        ]

    async def instants(self, piece: Piece, *, starts: bool) -> list[tuple[int, int]]:
        """When single stays start (or end), and how many at each instant."""
        when = viewer_stays.c.start_ms if starts else viewer_stays.c.end_ms
        asked = select(when, func.count()).where(self._stays(piece, when)).group_by(when)
        return [(at_ms, number) for at_ms, number in await self._tx.execute(asked)]

    async def steps(self, last_s: int) -> dict[int, int]:
        """By how much the viewers of each second differ from those of the second before, up to ``last_s``."""
        step = retention_steps.c
        asked = (
            select(step.second, _sum(step.delta))
            .where(self._where(step.video_number), step.second <= last_s)
            .group_by(step.second)
        )
        return {row[0]: row[1] for row in await self._tx.execute(asked)}

    def _times(self, piece: Piece) -> ColumnElement[bool]:
        assert piece.unit is not None
        where = self._where(stay_times.c.video_number) & (stay_times.c.unit_s == piece.unit.value)
        for condition in _within(stay_times.c.at_ms, piece):
            where &= condition
        return where

    def _stays(self, piece: Piece, when: ColumnElement[int]) -> ColumnElement[bool]:
        where = self._where(viewer_stays.c.video_number) & viewer_stays.c.local
        for condition in _within(when, piece):
            where &= condition
        if piece.from_ms != -FOREVER_MS:
            # Said of starts too: it keeps partitions that ended before out of the look.
            where &= viewer_stays.c.end_ms >= piece.from_ms
        return where

    def _where(self, number: ColumnElement[int]) -> ColumnElement[bool]:
        if self._videos is None:
            return number.in_(select(videos.c.number).where(videos.c.local.is_(True)))
        if len(self._videos) == 1:
            return number == self._videos[0]
        return among(number, self._videos)


def _sum(column: ColumnElement[int]) -> ColumnElement[int]:
    # PostgreSQL sums up bigint to numeric.
    return cast(func.coalesce(func.sum(column), 0), BigInteger)


def _within(when: ColumnElement[int], piece: Piece) -> list[ColumnElement[bool]]:
    conditions = []
    if piece.from_ms != -FOREVER_MS:
        conditions.append(when >= piece.from_ms)
    if piece.to_ms != FOREVER_MS:
        conditions.append(when < piece.to_ms)
    return conditions
