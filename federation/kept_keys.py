"""Keys that made a signature, kept in the database, so that known peers need nobody to be asked after a restart.

What is kept is what the actor's own host said, and when; it is judged anew by whoever reads it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import delete, select

from federation.actors import ActorDocument
from federation.multikey import encode_multikey
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
_OVERLAP_MS = 60_000
"""Processes' clocks differ, and a commit takes a while: so far back it is looked for what others kept."""


class KeptKeys:
    """At most ``limit`` keys, by their keyId without fragment. Call ``load`` first, and ``save`` every few seconds.

    ``keep``, ``drop`` and ``in`` ask no database. ``shared``: other processes keep keys in it, too.
    """

    def __init__(
        self, database: Database, clock: Clock, metrics: Metrics, *, limit: int, max_age_ms: int, shared: bool = False
    ) -> None:
        self._database = database
        self._clock = clock
        self._limit = limit
        self._max_age_ms = max_age_ms
        self._shared = shared
        self._sites: OrderedDict[bytes, str] = OrderedDict()
        self._per_site: Counter[str] = Counter()
        self._moved: dict[str, RemoteKey | None] = {}
        self._saving: dict[str, RemoteKey | None] = {}
        self._one_at_a_time = asyncio.Lock()
        self._read_until_ms = 0
        metrics.gauge_from("fediviews_keys_kept", "Public keys of others in the database.", lambda: len(self._sites))

    async def load(self) -> None:
        """Learn which keys there are. Raises StorageUnavailable."""
        columns, now_ms = remote_keys.c, self._clock.now_ms()
        newest = select(columns.digest, columns.site).where(columns.saved_ms >= self._read_until_ms)
        async with self._database.read() as tx:
            rows = (await tx.execute(newest.order_by(columns.saved_ms.desc()).limit(self._limit))).all()
        for digest, site in reversed(rows):
            self._note(bytes.fromhex(digest), site)
        self._read_until_ms = now_ms - _OVERLAP_MS

    def __contains__(self, name: str) -> bool:
        return _digest(name) in self._sites

    async def read(self, name: str) -> tuple[ActorDocument, int] | None:
        """What was kept and when it was fetched (wall time); None: nothing, or it cannot be read just now."""
        found = select(remote_keys.c.document, remote_keys.c.fetched_ms)
        try:
            async with self._database.read() as tx:
                row = (await tx.execute(found.where(remote_keys.c.digest == _digest(name).hex()))).one_or_none()
        except StorageUnavailable:
            return None
        if row is None:
            self._forget(_digest(name))
            return None
        try:
            return msgspec.json.decode(row.document, type=ActorDocument), row.fetched_ms
        except msgspec.DecodeError:
            return None

    def keep(self, name: str, key: RemoteKey, *, known: bool = False) -> None:
        """It made a signature, or is the newer one of an actor whose key is kept. ``known``: it is of a followed or
        following actor."""
        full = len(self._moved) >= self._limit
        crowded = self._per_site[site_of(key.authority)] >= max(1, self._limit // SITE_PART)
        if name in self._moved or name in self or not (full or (crowded and not known)):
            self._moved[name] = key

    def drop(self, name: str) -> None:
        """Its owner says that it is gone."""
        if name in self or name in self._moved or name in self._saving:
            self._moved[name] = None

    async def forget(self, name: str) -> None:
        """As ``drop``, at once. Raises StorageUnavailable."""
        self._moved[name] = None
        await self.save()

    async def save(self) -> None:
        """Write what moved, and learn what other processes wrote. Raises StorageUnavailable; nothing is lost then."""
        async with self._one_at_a_time:
            if self._moved:
                await self._save_moved()
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
            await self._database.write(lambda tx: self._write(tx, moved))
        except BaseException:
            self._moved = moved | self._moved
            raise
        finally:
            self._saving = {}
        for name, key in moved.items():
            if key is None:
                self._forget(_digest(name))
            else:
                self._note(_digest(name), site_of(key.authority))

    async def _write(self, tx: Transaction, moved: dict[str, RemoteKey | None]) -> None:
        now_ms = self._clock.now_ms()
        rows = [_row(name, key, now_ms) for name, key in sorted(moved.items()) if key is not None]
        for start in range(0, len(rows), _BATCH):
            statement = upsert(tx, remote_keys).values(rows[start : start + _BATCH])
            changed = {name: statement.excluded[name] for name in ("site", "document", "fetched_ms", "saved_ms")}
            await tx.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=changed))
        gone = [_digest(name).hex() for name, key in moved.items() if key is None]
        arriving = {row["digest"] for row in rows}
        excess = (
            len(self._sites) + sum(bytes.fromhex(str(digest)) not in self._sites for digest in arriving) - self._limit
        )
        gone += [digest.hex() for digest in list(self._sites)[: max(0, excess)] if digest.hex() not in arriving]
        for start in range(0, len(gone), _BATCH):
            await tx.execute(delete(remote_keys).where(remote_keys.c.digest.in_(gone[start : start + _BATCH])))

    def _note(self, digest: bytes, site: str) -> None:
        self._forget(digest)
        self._sites[digest] = site
        self._per_site[site] += 1
        while len(self._sites) > self._limit:
            self._forget(next(iter(self._sites)))

    def _forget(self, digest: bytes) -> None:
        site = self._sites.pop(digest, None)
        if site is not None:
            self._per_site[site] -= 1
            if not self._per_site[site]:
                del self._per_site[site]


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _row(name: str, key: RemoteKey, now_ms: int) -> dict[str, object]:
    document = ActorDocument(
        id=key.actor,
        type=key.actor_type,
        preferred_username="",
        inbox=key.inbox or "",
        shared_inbox=key.shared_inbox,
        followers=None,
        outbox=None,
        public_key_id=key.key_id,
        public_key_pem=key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii"),
        multikeys=tuple(
            (other.key_id, encode_multikey(other.public_key))
            for other in key.others
            if isinstance(other.public_key, Ed25519PublicKey)
        ),
    )
    return {
        "digest": _digest(name).hex(),
        "site": site_of(key.authority)[:300],
        "document": msgspec.json.encode(document).decode(),
        "fetched_ms": key.fetched_ms,
        "saved_ms": now_ms,
    }
