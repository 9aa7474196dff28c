"""How much each peer sends, by the hour: what is usual of it, and whether it is so now.

Kept in the database, so that every process sees the same and a restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import delete, or_, select

from federation.peers.unusual import FEW, Unusual, score
from federation.tables import peer_hours
from foundation.clock import Clock
from foundation.database import Database, Transaction, upsert
from foundation.metrics import Metrics

HOUR_MS = 3_600_000
PAST_HOURS = 7 * 24
KEPT_MS = 14 * 24 * HOUR_MS

MAX_WAITING = 10_000
"""Hosts whose numbers wait for the next save; of more nothing is kept."""

MAX_JUDGED = 1_000
"""Hosts looked at by one save, those that sent most first."""

_BATCH = 200


@dataclass(slots=True)
class _Hour:
    viewers: int = 0
    views: int = 0


class PeerActivity:
    """``saw_*`` on every message; ``save`` belongs into the task table. ``flag_at``: score from which on an hour is
    called unusual (None: never). A flag is a hint to a person: nothing is refused for it."""

    def __init__(self, database: Database, clock: Clock, metrics: Metrics, *, flag_at: float | None = 8.0) -> None:
        self._database = database
        self._clock = clock
        self._flag_at = flag_at
        self._waiting: dict[tuple[str, int], _Hour] = {}
        self._unusual: dict[str, Unusual] = {}
        metrics.gauge_from(
            "fediviews_peers_unusual", "Peers that send far more than is usual of them", lambda: len(self._unusual)
        )

    def saw_viewer(self, host: str) -> None:
        """A viewer of this host came."""
        hour = self._hour(host)
        if hour is not None:
            hour.viewers += 1

    def saw_view(self, host: str) -> None:
        """A view of this host was counted."""
        hour = self._hour(host)
        if hour is not None:
            hour.views += 1

    def unusual(self, host: str) -> Unusual | None:
        """What is out of the ordinary with this host, as of the last save."""
        return self._unusual.get(host)

    async def save(self) -> None:
        """Write down what came, and judge the hour that runs and the one before. Raises StorageUnavailable; then what
        came waits for the next time."""
        waiting, self._waiting = self._waiting, {}
        if waiting:
            try:
                await self._database.write(lambda tx: _add(tx, waiting))
            except BaseException:
                for key, hour in self._waiting.items():
                    known = waiting.setdefault(key, _Hour())
                    known.viewers, known.views = known.viewers + hour.viewers, known.views + hour.views
                self._waiting = waiting
                raise
        if self._flag_at is not None:
            self._unusual = await self._judge(self._clock.now_ms() // HOUR_MS, self._flag_at)

    async def purge(self) -> None:
        """Forget hours that nobody compares with any more."""
        before = (self._clock.now_ms() - KEPT_MS) // HOUR_MS
        await self._database.write(lambda tx: _forget(tx, before))

    def _hour(self, host: str) -> _Hour | None:
        key = (host, self._clock.now_ms() // HOUR_MS)
        hour = self._waiting.get(key)
        if hour is None and len(self._waiting) < MAX_WAITING:
            hour = self._waiting[key] = _Hour()
        return hour

    async def _judge(self, this: int, flag_at: float) -> dict[str, Unusual]:
        found: dict[str, Unusual] = {}
        async with self._database.read() as tx:
            busy = await _busy(tx, this)
            for start in range(0, len(busy), _BATCH):
                past = await _past(tx, busy[start : start + _BATCH], this)
                for host, hours in past.items():
                    unusual = _most_unusual(hours, this, flag_at)
                    if unusual is not None:
                        found[host] = unusual
        return found


def _most_unusual(hours: dict[int, _Hour], this: int, flag_at: float) -> Unusual | None:
    found: list[Unusual] = []
    for what in ("viewers", "views"):
        counts = {hour: getattr(each, what) for hour, each in hours.items() if getattr(each, what)}
        for hour in (this, this - 1):
            past = [count for when, count in counts.items() if when < hour]
            count = counts.get(hour, 0)
            by = score(past, count)
            if by >= flag_at:
                found.append(Unusual(what, hour * HOUR_MS, count, float(median(past)), round(by, 1)))
    return max(found, key=lambda each: each.score, default=None)


async def _add(tx: Transaction, waiting: dict[tuple[str, int], _Hour]) -> None:
    rows = [
        {"host": host, "hour": hour, "viewers": each.viewers, "views": each.views}
        for (host, hour), each in sorted(waiting.items())
    ]
    for start in range(0, len(rows), _BATCH):
        insert = upsert(tx, peer_hours).values(rows[start : start + _BATCH])
        sums = {name: peer_hours.c[name] + insert.excluded[name] for name in ("viewers", "views")}
        await tx.execute(insert.on_conflict_do_update(index_elements=[peer_hours.c.host, peer_hours.c.hour], set_=sums))


async def _forget(tx: Transaction, before: int) -> None:
    await tx.execute(delete(peer_hours).where(peer_hours.c.hour < before))


async def _busy(tx: Transaction, this: int) -> Sequence[str]:
    """Hosts that sent enough to be judged in this hour or the last one."""
    enough = or_(peer_hours.c.viewers >= FEW, peer_hours.c.views >= FEW)
    most = (peer_hours.c.viewers + peer_hours.c.views).desc()
    statement = (
        select(peer_hours.c.host).where(peer_hours.c.hour >= this - 1, enough).order_by(most).limit(2 * MAX_JUDGED)
    )
    hosts = dict.fromkeys(row.host for row in await tx.execute(statement))
    return list(hosts)[:MAX_JUDGED]


async def _past(tx: Transaction, hosts: Iterable[str], this: int) -> dict[str, dict[int, _Hour]]:
    statement = select(peer_hours).where(
        peer_hours.c.host.in_(list(hosts)), peer_hours.c.hour >= this - PAST_HOURS, peer_hours.c.hour <= this
    )
    found: dict[str, dict[int, _Hour]] = {}
    for row in await tx.execute(statement):
        found.setdefault(row.host, {})[row.hour] = _Hour(row.viewers, row.views)
    return found
