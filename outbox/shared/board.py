"""The totals board that several processes share: each video's changes are decided by the holder of its shard, each
peer is served by the holder of its own, and all of them see every change.

A change has a number within its shard and is due for nobody before it stands in Redis; a peer's cursor has a number
for every shard and is written with the fencing token of whoever serves it. So a process that takes over goes on where
the other one stopped: what was delivered and written down is not sent again, what was not is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice

from foundation.clock import Clock
from foundation.leases import Holder, Leases, shard_of
from foundation.redis.shards import Shards, every
from outbox.cadence import Cadence, CadenceBoard, Due, Entry, TotalsPolicy
from outbox.shared import scripts

AT_A_TIME = 500


class SharedBoard:
    """As `outbox.totals.Board`. To be built before ``leases`` start."""

    def __init__(self, policy: TotalsPolicy, store: Shards, leases: Leases, clock: Clock) -> None:
        self.policy = policy
        self.version = 0
        self._store = store
        self._leases = leases
        self._clock = clock
        self._shards = range(store.count)
        self._boards = {
            (cadence, shard): CadenceBoard(policy, cadence) for cadence in Cadence for shard in self._shards
        }
        self._published = dict.fromkeys(self._boards, 0)
        """The newest number that others see: until then a change is due for nobody."""
        self._cursors: dict[tuple[Cadence, str], list[int]] = {}
        self._unkept: set[tuple[Cadence, str]] = set()
        self._marks: set[tuple[Cadence, int]] = set()
        self._exchanging = asyncio.Lock()
        self.marked: list[int] = []
        """Videos whose number is to be looked at again; for whoever observes (and empties this)."""
        leases.attend(Holder(self._gained, self._lost))

    def __len__(self) -> int:
        """Videos on the board."""
        return max(
            sum(len(board.live) + len(board.quiet) for (of, _), board in self._boards.items() if of is cadence)
            for cadence in Cadence
        )

    # Videos

    def observe(self, video: int, number: int, now_ms: int) -> None:
        """Of another process's video nothing happens here."""
        if self._leases.holds_shard(self._home(video)):
            for cadence in Cadence:
                self._of(cadence, video).observe(video, number, now_ms)

    def tick(self, now_ms: int) -> None:
        for (_, shard), board in self._boards.items():
            if self._leases.holds_shard(shard):
                board.tick(now_ms)
            else:
                board.prune(now_ms)
                board.touched.clear()

    def next_ms(self) -> int | None:
        held = (board.next_ms() for (_, shard), board in self._boards.items() if self._leases.holds_shard(shard))
        return min((at for at in held if at is not None), default=None)

    def sent(self, cadence: Cadence, video: int, number: int) -> None:
        board = self._of(cadence, video)
        if self._leases.holds_shard(self._home(video)):
            board.sent(video, number)
            return
        entry = board.entry(video)
        if entry is not None and entry.said != number:
            self._marks.add((cadence, video))

    def watched(self, limit: int) -> list[int]:
        boards = (board for (cadence, _), board in self._boards.items() if cadence is Cadence.FAST)
        newest = ((entry.changed_ms, video) for board in boards for video, entry in board.live.items())
        return [video for _, video in islice(sorted(newest, reverse=True), limit)]

    def forget_video(self, video: int) -> None:
        for cadence in Cadence:
            self._of(cadence, video).forget(video)

    # Peers

    def due(self, cadence: Cadence, peer: str) -> list[Due]:
        if not self._leases.holds(peer):
            return []
        cursor = self._cursors.get((cadence, peer)) or [0] * self._store.count
        found: list[Due] = []
        for shard in self._shards:
            seen = self._seen(cadence, shard)
            board = self._boards[cadence, shard]
            if board.newest() > cursor[shard]:
                found.extend(one for one in board.due(cursor[shard]) if one.seq <= seen)
        return found

    def is_due(self, cadence: Cadence, peer: str) -> bool:
        if not self._leases.holds(peer):
            return False
        cursor = self._cursors.get((cadence, peer))
        for shard in self._shards:
            newest = min(self._boards[cadence, shard].newest(), self._seen(cadence, shard))
            if newest > (cursor[shard] if cursor else 0):
                return bool(self.due(cadence, peer))
        return False

    def delivered(self, cadence: Cadence, peer: str, totals: Sequence[Due]) -> None:
        if not self._leases.token(shard_of(peer, self._store.count)):
            return
        cursor = self._cursors.setdefault((cadence, peer), [0] * self._store.count)
        for one in totals:
            shard = self._home(one.video)
            cursor[shard] = max(cursor[shard], one.seq)
        self._unkept.add((cadence, peer))

    def forget_peer(self, peer: str) -> None:
        for cadence in Cadence:
            self._cursors.pop((cadence, peer), None)
            self._unkept.add((cadence, peer))
        self.version += 1

    async def keep(self) -> None:
        by_shard: dict[int, list[bytes | str | int]] = {}
        kept, self._unkept = self._unkept, set()
        for cadence, peer in kept:
            shard = shard_of(peer, self._store.count)
            token = self._leases.token(shard)
            if token:
                cursor = self._cursors.get((cadence, peer))
                said = by_shard.setdefault(shard, [token])
                said += [f"{cadence.value} {peer}", "" if cursor is None else " ".join(map(str, cursor))]
        try:
            await every(self._store.run(scripts.KEEP_CURSOR, shard, *said) for shard, said in by_shard.items())
        except BaseException:
            self._unkept |= kept
            raise

    # Between processes

    async def exchange(self) -> None:
        async with self._exchanging:
            await self._mark()
            held = [shard for shard in self._shards if self._leases.holds_shard(shard)]
            await every(self._publish(cadence, shard) for cadence in Cadence for shard in held)
            others = [shard for shard in self._shards if shard not in held]
            await every(self._follow(cadence, shard) for cadence in Cadence for shard in others)
            if self._unkept:
                await self.keep()

    async def _publish(self, cadence: Cadence, shard: int) -> None:
        board = self._boards[cadence, shard]
        newest, touched, now_ms = board.seq, list(board.touched), self._clock.monotonic_ms()
        if not touched and self._published[cadence, shard] >= newest:
            return
        board.touched.clear()
        token = self._leases.token(shard)
        try:
            for at in range(0, max(1, len(touched)), AT_A_TIME):
                said = [word for video in touched[at : at + AT_A_TIME] for word in _said(video, board, now_ms)]
                if not await self._store.run(scripts.PUBLISH, shard, token, cadence.value, newest, *said):
                    return
        except BaseException:
            board.touched.update(touched)
            raise
        if newest > self._published[cadence, shard]:
            self._published[cadence, shard] = newest
            self.version += 1

    async def _follow(self, cadence: Cadence, shard: int) -> None:
        """Take in what the holder of a shard changed."""
        board = self._boards[cadence, shard]
        while True:
            rows = await self._store.run(scripts.SINCE, shard, cadence.value, board.seq, AT_A_TIME)
            if self._leases.holds_shard(shard):
                return
            self._put(board, rows)
            if rows:
                self.version += 1
            if len(rows) < AT_A_TIME:
                return

    async def _mark(self) -> None:
        """Tell the holders of videos, and hear as one, of which videos peers were told other numbers."""
        if self._marks:
            marks, self._marks = self._marks, set()
            by_home: dict[int, list[str]] = {}
            for cadence, video in marks:
                by_home.setdefault(self._home(video), []).append(f"{cadence.value}:{video}")
            try:
                await every(self._store.run(scripts.MARK, shard, *said) for shard, said in by_home.items())
            except BaseException:
                self._marks |= marks
                raise
        held = [shard for shard in self._shards if self._leases.holds_shard(shard)]
        asked = (self._store.run(scripts.TAKE_MARKS, shard, self._leases.token(shard)) for shard in held)
        for found in await every(asked):
            for mark in found:
                name, _, video = mark.decode().partition(":")
                entry = self._of(Cadence(name), int(video)).entry(int(video))
                if entry is not None:
                    entry.mixed = True
                    self.marked.append(int(video))

    async def _gained(self, shard: int) -> None:
        """Go on where another process stopped. Raises StorageUnavailable."""
        for cadence in Cadence:
            copy = self._boards[cadence, shard]
            newest, time_us = await self._store.run(scripts.NEWEST, shard, cadence.value)
            while True:
                rows = await self._store.run(scripts.SINCE, shard, cadence.value, copy.seq, AT_A_TIME)
                self._put(copy, rows)
                if len(rows) < AT_A_TIME:
                    break
            self._published[cadence, shard] = copy.seq
            # Above all that the one before may have given and not have written, also after Redis forgot everything:
            # then this copy is what is left, and written anew.
            copy.seq = max(int(newest or 0), int(time_us), copy.seq) + 1
            copy.touched.update(copy.live, copy.quiet)
            self.marked += [*copy.live, *copy.quiet]
        await self._load_cursors(shard)
        self.version += 1

    async def _load_cursors(self, shard: int) -> None:
        found = await self._store.run(scripts.CURSORS, shard)
        for name, numbers in zip(found[::2], found[1::2], strict=True):
            cadence, _, peer = name.decode().partition(" ")
            cursor = [int(number) for number in numbers.split()]
            if len(cursor) == self._store.count:
                self._cursors[Cadence(cadence), peer] = cursor

    async def _lost(self, shard: int) -> None:
        for cadence in Cadence:
            board = self._boards[cadence, shard]
            # What was not published is not known to anybody, and decided anew by whoever is next.
            board.seq = min(board.seq, self._published[cadence, shard])
            board.waiting.clear()
            board.touched.clear()
        for peer in [peer for peer in self._cursors if shard_of(peer[1], self._store.count) == shard]:
            del self._cursors[peer]
            self._unkept.discard(peer)
        self.version += 1

    # Inside

    def _put(self, board: CadenceBoard, rows: Sequence[Sequence[bytes]]) -> None:
        now_ms = self._clock.monotonic_ms()
        for row in rows:
            video, seq, said, seen, age_ms, mixed, tokens, refilled_ms = map(int, row)
            entry = Entry(seq, said, seen, now_ms - age_ms, bool(mixed), tokens, now_ms - refilled_ms)
            board.put(video, entry)

    def _seen(self, cadence: Cadence, shard: int) -> int:
        if self._leases.holds_shard(shard):
            return self._published[cadence, shard]
        return self._boards[cadence, shard].seq

    def _home(self, video: int) -> int:
        return video % self._store.count

    def _of(self, cadence: Cadence, video: int) -> CadenceBoard:
        return self._boards[cadence, self._home(video)]


def _said(video: int, board: CadenceBoard, now_ms: int) -> list[bytes | str | int]:
    entry = board.entry(video)
    if entry is None:
        return [video, "", "", "", "", "", "", ""]
    return [
        video,
        entry.seq,
        entry.said,
        entry.now,
        now_ms - entry.changed_ms,
        int(entry.mixed),
        entry.tokens,
        now_ms - entry.refilled_ms,
    ]
