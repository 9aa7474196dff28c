"""Keys that made a signature, kept in the database, so that known peers need nobody to be asked after a restart.

What is kept is what the actor's own host said, and when; it is judged anew by whoever reads it.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

import msgspec
from sqlalchemy import delete, select, update

from federation.actors import ActorDocument
from federation.kept_key_rows import digest_of, mark_row, row_of, unless_older
from federation.remote_key import RemoteKey
from federation.tables import remote_keys
from foundation.clock import Clock
from foundation.database import Database, Transaction, upsert
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.sites import site_of

SITE_PART = 20
"""One site's keys are at most this part of all that are kept, those of followed and following actors aside."""
_BATCH = 200
_RENEWED_EVERY_MS = 3_600_000
_OVERLAP_MS = 60_000
"""Processes' clocks differ, and a commit takes a while: so far back it is looked for what others kept."""


class KeptKeys:
    """At most ``limit`` keys, by their keyId without fragment. Call ``load`` first, and ``save`` every few seconds.

    Where there are more, those that made no signature for the longest time go first, and the keys of actors that are
    ``acquainted`` (another set whenever they changed) last.

    ``keep``, ``drop`` and ``in`` ask no database. ``shared``: other processes keep keys in it, too; what one of them
    drops leaves a mark then (no document), so that no late ``keep`` of another brings it back. There are at most
    ``limit`` marks besides.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        metrics: Metrics,
        *,
        limit: int,
        max_age_ms: int,
        shared: bool = False,
        acquainted: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._acquainted = acquainted
        self._friends: tuple[frozenset[str], frozenset[bytes]] = (frozenset(), frozenset())
        self._spoken: dict[str, RemoteKey] = {}
        self._renew: set[bytes] = set()
        self._renewed_ms = clock.monotonic_ms()
        self._database = database
        self._clock = clock
        self._limit = limit
        self._max_age_ms = max_age_ms
        self._shared = shared
        self._sites: OrderedDict[bytes, str] = OrderedDict()
        self._per_site: Counter[str] = Counter()
        # An instant (wall time): what was fetched until then is gone.
        self._moved: dict[str, RemoteKey | int] = {}
        self._saving: dict[str, RemoteKey | int] = {}
        self._marks: OrderedDict[bytes, None] = OrderedDict()
        self._gone_until_ms: OrderedDict[bytes, int] = OrderedDict()
        self._heard: Callable[[bytes, int], None] = lambda digest, until_ms: None
        self._one_at_a_time = asyncio.Lock()
        self._read_until_ms = 0
        metrics.gauge_from("fediviews_keys_kept", "Public keys of others in the database.", lambda: len(self._sites))

    def hear(self, listener: Callable[[bytes, int], None]) -> None:
        """Whom ``save`` tells of what others wrote: the digest, and until when (wall time) what was fetched is old."""
        self._heard = listener

    async def load(self) -> None:
        """Learn which keys there are. Raises StorageUnavailable."""
        columns, now_ms = remote_keys.c, self._clock.now_ms()
        newest = (
            select(columns.digest, columns.site, columns.fetched_ms, (columns.document == "").label("gone"))
            .where(columns.saved_ms >= self._read_until_ms)
            .order_by(columns.saved_ms.desc())
            .limit(2 * self._limit)
        )
        async with self._database.read() as tx:
            rows = (await tx.execute(newest)).all()
        for row in reversed(rows):
            digest = bytes.fromhex(row.digest)
            if row.gone:
                self._mark(digest)
                self._disbelieve(digest, row.fetched_ms)
            else:
                self._note(digest, row.site)
            self._heard(digest, row.fetched_ms if row.gone else row.fetched_ms - 1)
        self._read_until_ms = now_ms - _OVERLAP_MS

    def __contains__(self, name: str) -> bool:
        return digest_of(name) in self._sites

    async def read(self, name: str) -> tuple[ActorDocument, int] | None:
        """What was kept and when it was fetched (wall time); None: nothing, or it cannot be read just now."""
        found = select(remote_keys.c.document, remote_keys.c.fetched_ms)
        try:
            async with self._database.read() as tx:
                row = (await tx.execute(found.where(remote_keys.c.digest == digest_of(name).hex()))).one_or_none()
        except StorageUnavailable:
            return None
        if row is None or not row.document:
            self._forget(digest_of(name))
            return None
        if row.fetched_ms <= self._gone_until_ms.get(digest_of(name), -1):
            return None
        try:
            return msgspec.json.decode(row.document, type=ActorDocument), row.fetched_ms
        except msgspec.DecodeError:
            return None

    def keep(self, name: str, key: RemoteKey, *, known: bool = False) -> None:
        """It made a signature, or is the newer one of an actor whose key is kept. ``known``: it is of a followed or
        following actor."""
        full = len(self._moved) >= self._limit or (not known and len(self._friends_now()) >= self._limit)
        crowded = self._per_site[site_of(key.authority)] >= max(1, self._limit // SITE_PART)
        if name in self._moved or name in self or not (full or (crowded and not known)):
            self._moved[name] = key

    def spoke(self, name: str, key: RemoteKey) -> None:
        """It made one more signature: it stays longer, or is kept again. Cheap, for every message."""
        if len(self._spoken) < self._limit:
            self._spoken[name] = key

    def drop(self, name: str, fetched_ms: int = 0) -> int:
        """Its owner says that it is gone; ``fetched_ms`` is when the key was fetched. Returns until when what was
        fetched is gone (wall time)."""
        gone_ms = max(self._clock.now_ms(), fetched_ms)
        if name in self or name in self._moved or name in self._saving:
            self._moved[name] = gone_ms
        self.disbelieve(name, gone_ms)
        return gone_ms

    async def forget(self, name: str, gone_ms: int) -> None:
        """As ``drop``, at once. Raises StorageUnavailable."""
        self._moved[name] = gone_ms
        await self.save()

    def disbelieve(self, name: str, until_ms: int) -> None:
        """What was fetched until then is not read any more: it is gone or replaced, whatever the database still has."""
        self._disbelieve(digest_of(name), until_ms)

    async def save(self) -> None:
        """Write what moved, and learn what other processes wrote. Raises StorageUnavailable; nothing is lost then."""
        async with self._one_at_a_time:
            self._hear_spoken()
            if self._moved:
                await self._save_moved()
            await self._renew_order()
            if self._shared:
                await self.load()

    async def purge(self) -> None:
        """Delete what nobody would believe any more. Raises StorageUnavailable."""
        before_ms = self._clock.now_ms() - self._max_age_ms
        await self._database.write(
            lambda tx: tx.execute(delete(remote_keys).where(remote_keys.c.fetched_ms < before_ms))
        )

    async def _save_moved(self) -> None:
        moved, self._moved = self._moved, {}
        self._saving = moved
        try:
            gone = set(await self._database.write(lambda tx: self._write(tx, moved)))
        except BaseException:
            self._moved = moved | self._moved
            raise
        finally:
            self._saving = {}
        for digest in gone:
            self._forget(bytes.fromhex(digest))
        for name, key in moved.items():
            if not isinstance(key, int):
                if digest_of(name).hex() not in gone:
                    self._note(digest_of(name), site_of(key.authority))
            elif self._shared:
                self._mark(digest_of(name))
            else:
                self._forget(digest_of(name))

    async def _write(self, tx: Transaction, moved: dict[str, RemoteKey | int]) -> list[str]:
        now_ms = self._clock.now_ms()
        rows = [
            mark_row(name, key, now_ms) if isinstance(key, int) else row_of(name, key, now_ms)
            for name, key in sorted(moved.items())
            if self._shared or not isinstance(key, int)
        ]
        for start in range(0, len(rows), _BATCH):
            await tx.execute(unless_older(upsert(tx, remote_keys).values(rows[start : start + _BATCH])))
        gone = [digest_of(name).hex() for name, key in moved.items() if isinstance(key, int) and not self._shared]
        arriving = {str(row["digest"]) for row in rows if row["document"]}
        excess = len(self._sites) + sum(bytes.fromhex(digest) not in self._sites for digest in arriving) - self._limit
        gone += [digest.hex() for digest in self._least(excess, arriving)]
        gone += [digest.hex() for digest in list(self._marks)[: max(0, len(self._marks) - self._limit)]]
        for start in range(0, len(gone), _BATCH):
            await tx.execute(delete(remote_keys).where(remote_keys.c.digest.in_(gone[start : start + _BATCH])))
        return gone

    def _least(self, count: int, arriving: set[str]) -> list[bytes]:
        """Which are given up first."""
        if count <= 0:
            return []
        friends = self._friends_now()
        staying = [digest for digest in self._sites if digest.hex() not in arriving]
        everybody = staying + [bytes.fromhex(digest) for digest in sorted(arriving)]
        strangers = [digest for digest in everybody if digest not in friends]
        return (strangers + [digest for digest in everybody if digest in friends])[:count]

    def _friends_now(self) -> frozenset[bytes]:
        names = self._acquainted()
        if names is not self._friends[0]:
            self._friends = names, frozenset(map(digest_of, names))
        return self._friends[1]

    def _hear_spoken(self) -> None:
        spoken, self._spoken = self._spoken, {}
        friends = self._acquainted()
        for name, key in spoken.items():
            digest = digest_of(name)
            if digest in self._sites:
                self._sites.move_to_end(digest)
                self._renew.add(digest)
            elif name not in self._moved and key.fetched_ms > self._gone_until_ms.get(digest, -1):
                self.keep(name, key, known=key.actor in friends)

    async def _renew_order(self) -> None:
        """The order in which they are given up outlives the process, to the hour."""
        now_ms = self._clock.monotonic_ms()
        if not self._renew or now_ms - self._renewed_ms < _RENEWED_EVERY_MS:
            return
        digests, saved_ms = sorted(digest.hex() for digest in self._renew), self._clock.now_ms()

        async def renew(tx: Transaction) -> None:
            for start in range(0, len(digests), _BATCH):
                there = remote_keys.c.digest.in_(digests[start : start + _BATCH])
                await tx.execute(update(remote_keys).where(there).values(saved_ms=saved_ms))

        await self._database.write(renew)
        self._renewed_ms = now_ms
        self._renew.clear()

    def _mark(self, digest: bytes) -> None:
        self._forget(digest)
        self._marks[digest] = None
        self._marks.move_to_end(digest)
        while len(self._marks) > 2 * self._limit:
            self._marks.popitem(last=False)

    def _disbelieve(self, digest: bytes, until_ms: int) -> None:
        self._gone_until_ms[digest] = max(until_ms, self._gone_until_ms.get(digest, until_ms))
        self._gone_until_ms.move_to_end(digest)
        while len(self._gone_until_ms) > self._limit:
            self._gone_until_ms.popitem(last=False)

    def _note(self, digest: bytes, site: str) -> None:
        self._forget(digest)
        self._marks.pop(digest, None)
        self._sites[digest] = site
        self._per_site[site] += 1
        while len(self._sites) > self._limit:
            self._forget(next(iter(self._sites)))

    def _forget(self, digest: bytes) -> None:
        self._renew.discard(digest)
        site = self._sites.pop(digest, None)
        if site is not None:
            self._per_site[site] -= 1
            if not self._per_site[site]:
                del self._per_site[site]
