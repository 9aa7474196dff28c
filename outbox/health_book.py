"""Keeps what was learnt of hosts by delivering to them: over a restart, and for whoever serves a host next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import delete, select

from foundation.clock import Clock
from foundation.database import Database, Transaction, upsert
from outbox.batching import BatchMemory
from outbox.breaker import BreakerState
from outbox.health import Health, Now, doubt_of, health_of, standing_of
from outbox.ledger import MAX_HOSTS, Ledger
from outbox.standing import Standing
from outbox.tables import delivery_health

_rows = delivery_health.c
_BATCH = 200


class HealthBook:
    """At most ``max_hosts``, those written last. ``live`` says where a host stands now; ``serves``, where several
    processes deliver, whether this one does to a host."""

    def __init__(
        self,
        *,
        database: Database,
        ledger: Ledger,
        batches: BatchMemory,
        clock: Clock,
        live: Callable[[str], Standing | None] = lambda _: None,
        serves: Callable[[str], bool] | None = None,
        max_hosts: int = MAX_HOSTS,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._batches = batches
        self._clock = clock
        self.live = live
        self._serves = serves or _always
        self._shared = serves is not None
        self._max_hosts = max_hosts
        self._kept: OrderedDict[str, Health] = OrderedDict()

    async def load(self) -> None:
        """Take in what was kept: at start, and when hosts come that another process served. Raises
        StorageUnavailable."""
        now = self._now()
        for health in (await self.read()).values():
            known = self._kept.get(health.host)
            if known is not None and known.kept_ms >= health.kept_ms:
                continue
            self._keep(health)
            if health.host not in self._ledger.changed:
                account = self._ledger.open(health.host)
                account.arrived_ms, account.error, account.error_ms = health.arrived_ms, health.error, health.error_ms
                self._ledger.changed.discard(health.host)
            doubt = doubt_of(health, now)
            if doubt is not None:
                self._batches.recall(health.host, doubt)

    def recall(self, host: str) -> Standing | None:
        """Where a host stood when that was last kept; None without trouble, or when something arrived since."""
        health, account = self._kept.get(host), self._ledger.get(host)
        if health is None or (account is not None and (account.arrived_ms or 0) > health.failed_ms):
            return None
        return standing_of(health, self._now())

    def troubled(self) -> list[str]:
        """Hosts that were in trouble when that was last kept."""
        return [host for host, health in self._kept.items() if health.failures]

    def arrived(self, host: str) -> None:
        self._ledger.arrived(host)

    def arrived_ms(self, host: str) -> int | None:
        account = self._ledger.get(host)
        return None if account is None else account.arrived_ms

    def failed(self, host: str, reason: str) -> None:
        self._ledger.failed(host, reason)

    def current(self, host: str) -> Health:
        """A host as it stands in this process."""
        standing = self.live(host) or self.recall(host)
        return health_of(
            host,
            self._now(),
            account=self._ledger.get(host),
            standing=standing,
            doubt=self._batches.get(host),
        )

    async def everybody(self) -> Callable[[str], Health]:
        """What answers for any host: of ours as it stands, of those that others serve as last kept. Raises
        StorageUnavailable."""
        kept = await self.read() if self._shared else {}

        def of(host: str) -> Health:
            return self.current(host) if self._serves(host) else kept.get(host, Health(host))

        return of

    async def save(self, hosts: Callable[[str], bool] | None = None) -> int:
        """Keep what changed since the last time, of these hosts or those served here; of how many. Raises
        StorageUnavailable, and tries them again then. To be called every minute or so, and at the end.
        """
        chosen = hosts or self._serves
        due = {host for host in (*self._ledger.changed, *self.troubled()) if chosen(host)}
        if not due:
            return 0
        changed = due & self._ledger.changed
        self._ledger.changed -= due
        rows = [self.current(host) for host in sorted(due)]
        try:
            await self._database.write(lambda tx: _write(tx, rows))
        except BaseException:
            self._ledger.changed |= changed
            raise
        for health in rows:
            self._keep(health)
        return len(rows)

    async def read(self) -> dict[str, Health]:
        """As kept, the newest first. Raises StorageUnavailable."""
        query = select(delivery_health).order_by(_rows.kept_ms.desc()).limit(self._max_hosts)
        async with self._database.read() as tx:
            return {row.host: _health(row._asdict()) for row in await tx.execute(query)}

    async def in_trouble(self) -> list[str]:
        """Hosts in trouble when they were last kept, by whatever process. Raises StorageUnavailable."""
        query = select(_rows.host).where(_rows.failures > 0).limit(self._max_hosts)
        async with self._database.read() as tx:
            return list(await tx.scalars(query))

    async def purge(self, before_ms: int) -> int:
        """Forget hosts of which nothing was kept since an instant, and the oldest of too many; how many."""
        newest = select(_rows.kept_ms).order_by(_rows.kept_ms.desc()).offset(self._max_hosts).limit(1)

        async def work(tx: Transaction) -> int:
            beyond_ms = int(await tx.scalar(newest) or 0)
            gone = await tx.execute(delete(delivery_health).where(_rows.kept_ms <= max(before_ms, beyond_ms)))
            return gone.rowcount

        return await self._database.write(work)

    def _keep(self, health: Health) -> None:
        self._kept[health.host] = health
        self._kept.move_to_end(health.host)
        while len(self._kept) > self._max_hosts:
            self._kept.popitem(last=False)

    def _now(self) -> Now:
        return Now(self._clock.now_ms(), self._clock.monotonic_ms())


def _health(row: Mapping[str, Any]) -> Health:
    return Health(**{**row, "breaker": BreakerState(row["breaker"])})


def _always(_: str) -> bool:
    return True


async def _write(tx: Transaction, rows: Iterable[Health]) -> None:
    values = [asdict(health) | {"breaker": health.breaker.value} for health in rows]
    for start in range(0, len(values), _BATCH):
        insert = upsert(tx, delivery_health).values(values[start : start + _BATCH])
        changes = {column.name: insert.excluded[column.name] for column in delivery_health.c if column.name != "host"}
        await tx.execute(insert.on_conflict_do_update(index_elements=[_rows.host], set_=changes))
