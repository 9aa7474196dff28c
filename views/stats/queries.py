"""Answers of viewer statistics (``model.Statistics``): saved stays and viewers still watching together.

One definition for everything: a stay lasts from its start to its end, both included, and belongs to a span that it
overlaps, with all of its watch time. So the average is the total by the number of viewers, countries add up to those
viewers of whom one is known, and the peak never exceeds the total. (PeerTube 6.3 takes the sum of watch times over
stays that lie wholly inside, and the base of its peak over all videos.) Both bounds of ``overall`` and ``user_agents``
are included; buckets of a timeseries are half-open, in UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import func, select

from foundation.database import Database
from views.stats.model import Metric, Overall, Retention, Scope, Share, Timeseries, UserAgents
from views.stats.peak import Bucket, Peak, find_peak, rise_of
from views.stats.presence import Present, PresentViewers
from views.stats.recorder import Recorder, Videos
from views.stats.series import edges_of, interval_of
from views.stats.settling import settle
from views.stats.sums import Reader, Tally
from views.stats.tables import viewer_stays
from views.stats.traits import Kind, named
from views.stats.units import TIME_UNITS, Piece, pieces
from views.tables import videos as videos_table

MAX_SHARES = 1_000
"""Names of one kind that an answer lists, the most frequent first: players choose some of them freely."""


@dataclass(frozen=True, slots=True)
class _Look:
    """One consistent view of everything: no stay is missing, none is in it twice."""

    reader: Reader
    live: Sequence[Present]
    as_of_ms: int


class StayStatistics:
    """``model.Statistics`` over the database and the live store."""

    def __init__(self, db: Database, recorder: Recorder, present: PresentViewers, catalog: Videos) -> None:
        self._db = db
        self._recorder = recorder
        self._present = present
        self._catalog = catalog

    async def overall(self, scope: Scope, start_ms: int | None, end_ms: int | None) -> Overall:
        """Of stays that overlap ``[start_ms, end_ms]``. Bounds the wrong way round: of none."""
        answer, certain = await self._overall(scope, start_ms, end_ms)
        if not certain:
            # So many stays are new that their buckets could not be judged one by one: judge them once for all.
            await settle(self._db, scope.videos)
            answer, _ = await self._overall(scope, start_ms, end_ms)
        return answer

    async def _overall(self, scope: Scope, start_ms: int | None, end_ms: int | None) -> tuple[Overall, bool]:
        to_ms = None if end_ms is None else end_ms + 1
        async with self._look(scope) as look:
            live = _overlapping(look.live, start_ms, to_ms)
            if _empty(start_ms, to_ms):
                return Overall(0, 0, 0, 0, None, (), (), look.as_of_ms), True
            before = Tally() if start_ms is None else await look.reader.tally(None, start_ms)
            upto = before
            if start_ms is None:
                upto = await look.reader.tally(None, to_ms, ends=False)
            else:
                within = await look.reader.tally(start_ms, to_ms, ends=False)
                upto = Tally(before.starts + within.starts, before.start_watch_s + within.start_watch_s)
            viewers = upto.starts - before.ends + len(live)
            watch_s = upto.start_watch_s - before.end_watch_s + sum(each.watch_time_s for each in live)
            peak = await _peak(look, live, start_ms, to_ms, before.starts - before.ends)
            names = await look.reader.names((Kind.COUNTRY, Kind.SUBDIVISION), start_ms, to_ms)
            _count_names(names, live)
            answer = Overall(
                # Halves go up, as PostgreSQL's ROUND has it.
                average_watch_time_s=(2 * watch_s + viewers) // (2 * viewers) if viewers else 0,
                total_watch_time_s=watch_s,
                total_viewers=viewers,
                viewers_peak=peak.viewers,
                viewers_peak_ms=peak.at_ms,
                countries=_shares(names[Kind.COUNTRY]),
                subdivisions=_shares(names[Kind.SUBDIVISION]),
                as_of_ms=look.as_of_ms,
            )
        return answer, peak.certain

    async def first_ms(self, video: int) -> int | None:
        stays = viewer_stays.c
        earliest = select(func.min(stays.start_ms)).where(stays.video_number == video, stays.local)
        async with self._db.read() as tx:
            found = (await tx.execute(earliest)).scalar_one()
        return None if found is None else int(found)

    async def user_agents(self, scope: Scope, start_ms: int | None, end_ms: int | None) -> UserAgents:
        """Of stays that overlap ``[start_ms, end_ms]``. Bounds the wrong way round: of none."""
        to_ms = None if end_ms is None else end_ms + 1
        kinds = (Kind.CLIENT, Kind.DEVICE, Kind.OPERATING_SYSTEM)
        async with self._look(scope) as look:
            names: dict[Kind, Counter[str]] = {kind: Counter() for kind in kinds}
            if not _empty(start_ms, to_ms):
                names = await look.reader.names(kinds, start_ms, to_ms)
                _count_names(names, _overlapping(look.live, start_ms, to_ms))
        clients, devices, systems = (_shares(names[kind]) for kind in kinds)
        return UserAgents(clients, devices, systems, look.as_of_ms)

    async def retention(self, video: int, duration_s: int) -> Retention:
        """About a hundred points (PeerTube 6.3's), of all viewers of all time."""
        step = max((duration_s + 50) // 100, 1)
        async with self._look(Scope((video,))) as look:
            total = (await look.reader.tally(None, None, ends=False)).starts + len(look.live)
            steps = await look.reader.steps(duration_s)
        for present in look.live:
            for start_s, end_s in present.sections:
                steps[start_s] = steps.get(start_s, 0) + 1
                steps[end_s + 1] = steps.get(end_s + 1, 0) - 1
        points, seen, changes = [], 0, iter(sorted(steps.items()))
        change = next(changes, None)
        for second in range(0, duration_s + 1, step):
            while change is not None and change[0] <= second:
                seen += change[1]
                change = next(changes, None)
            points.append((second, 100 * seen / max(total, 1)))
        return Retention(tuple(points), look.as_of_ms)

    async def timeseries(self, scope: Scope, metric: Metric, start_ms: int, end_ms: int) -> Timeseries:
        """A viewer is in every bucket that its stay overlaps; watch time belongs to the bucket in which a stay ends (of
        somebody still watching: was heard of last)."""
        interval = interval_of(start_ms, end_ms)
        edges = edges_of(start_ms, end_ms, interval)
        async with self._look(scope) as look:
            if not edges:
                return Timeseries(interval.name, (), look.as_of_ms)
            count = len(edges) - 1
            starts, ends, watch_s = [0] * count, [0] * count, [0] * count
            for at_ms, tally in await look.reader.by_unit(Piece(interval.unit, edges[0], edges[-1])):
                bucket = bisect_right(edges, at_ms) - 1
                starts[bucket] += tally.starts
                ends[bucket] += tally.ends
                watch_s[bucket] += tally.end_watch_s
            here = 0
            if metric is Metric.VIEWERS:
                before = await look.reader.tally(None, edges[0])
                here = before.starts - before.ends
        here += _count_live(look.live, edges, starts, ends, watch_s)
        values = watch_s if metric is Metric.AGGREGATE_WATCH_TIME else []
        if metric is Metric.VIEWERS:
            for started, ended in zip(starts, ends, strict=True):
                values.append(here + started)
                here += started - ended
        return Timeseries(interval.name, tuple(zip(edges, values, strict=False)), look.as_of_ms)

    @asynccontextmanager
    async def _look(self, scope: Scope) -> AsyncIterator[_Look]:
        numbers = await self._numbers(scope)
        async with AsyncExitStack() as stack:
            async with self._recorder.steady:
                snapshot = await self._present.take(numbers)
                tx = await stack.enter_async_context(self._db.read())
                # The first read of a table is what fixes the instant.
                await tx.execute(select(videos_table.c.number).limit(1))
            live, as_of_ms = await self._present.look(snapshot)
            yield _Look(Reader(tx, scope), live, as_of_ms)

    async def _numbers(self, scope: Scope) -> Sequence[int]:
        """The videos of the scope that somebody may be watching."""
        if scope.videos is not None and len(scope.videos) == 1:
            return scope.videos
        wanted = None if scope.videos is None else frozenset(scope.videos)
        numbers = []
        for number in await self._present.videos():
            if wanted is None:
                video = await self._catalog.by_number(number)
                if video is not None and video.local:
                    numbers.append(number)
            elif number in wanted:
                numbers.append(number)
        return numbers


def _empty(from_ms: int | None, to_ms: int | None) -> bool:
    return from_ms is not None and to_ms is not None and from_ms >= to_ms


def _overlapping(live: Iterable[Present], from_ms: int | None, to_ms: int | None) -> list[Present]:
    return [
        each
        for each in live
        if (to_ms is None or each.start_ms < to_ms) and (from_ms is None or each.end_ms >= from_ms)
    ]


def _count_names(names: dict[Kind, Counter[str]], live: Iterable[Present]) -> None:
    for present in live:
        for kind, name in named(present.traits):
            if kind in names:
                names[kind][name] += 1


def _shares(names: Counter[str]) -> tuple[Share, ...]:
    ordered = sorted(names.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(Share(name, number) for name, number in ordered[:MAX_SHARES] if number > 0)


def _count_live(
    live: Iterable[Present], edges: Sequence[int], starts: list[int], ends: list[int], watch_s: list[int]
) -> int:
    """Into the buckets; returns how many were there before the first of them and are in it."""
    before, last = 0, edges[-1]
    for present in live:
        if present.end_ms < edges[0] or present.start_ms >= last:
            continue
        if present.start_ms < edges[0]:
            before += 1
        else:
            starts[bisect_right(edges, present.start_ms) - 1] += 1
        if present.end_ms < last:
            bucket = bisect_right(edges, present.end_ms) - 1
            ends[bucket] += 1
            watch_s[bucket] += present.watch_time_s
    return before


async def _peak(look: _Look, live: Sequence[Present], start_ms: int | None, to_ms: int | None, base: int) -> Peak:
    if start_ms is not None:
        base += sum(each.start_ms < start_ms for each in live)
    merged = _WithLive(look.reader, live)
    return await find_peak(merged.buckets, pieces(start_ms, to_ms, TIME_UNITS), base, start_ms)


class _WithLive:
    """The buckets of saved stays with the viewers still watching put in: a bucket with any of them is a bound."""

    def __init__(self, reader: Reader, live: Sequence[Present]) -> None:
        self._reader = reader
        self._starts = Counter(each.start_ms for each in live)
        self._ends = Counter(each.end_ms for each in live)

    async def buckets(self, piece: Piece) -> Sequence[Bucket]:
        starts = {at: number for at, number in self._starts.items() if piece.from_ms <= at < piece.to_ms}
        ends = {at: number for at, number in self._ends.items() if piece.from_ms <= at < piece.to_ms}
        if not starts and not ends:
            return await self._reader.buckets(piece)
        if piece.unit is None:
            all_starts = [*await self._reader.instants(piece, starts=True), *starts.items()]
            all_ends = [*await self._reader.instants(piece, starts=False), *ends.items()]
            rise, when_ms, started, ended = rise_of(piece.from_ms, all_starts, all_ends)
            return [Bucket(None, piece.from_ms, started, ended, rise, when_ms, exact=True)]
        unit = piece.unit
        started_in, ended_in = Counter[int](), Counter[int]()
        for at, number in starts.items():
            started_in[unit.floor(at)] += number
        for at, number in ends.items():
            ended_in[unit.floor(at)] += number
        found = {bucket.at_ms: bucket for bucket in await self._reader.buckets(piece)}
        for at in started_in.keys() | ended_in.keys():
            known = found.get(at, Bucket(unit, at, 0, 0, 0, at, exact=True))
            more = started_in[at]
            found[at] = Bucket(unit, at, known.starts + more, known.ends + ended_in[at], known.most + more, at, False)
        return [found[at] for at in sorted(found)]
