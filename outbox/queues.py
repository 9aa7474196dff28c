"""What of the log each host is still owed, and what it does not take: for administrators, who may repeat or drop it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, delete, func, select, update

from foundation.database import Database, Transaction
from outbox.log import FOLLOWERS, Kind
from outbox.tables import activity_log, delivery_exceptions, peer_cursors

_log, _cursors, _exceptions = activity_log.c, peer_cursors.c, delivery_exceptions.c

MAX_COUNTED = 10_000
"""Of what is said to all followers; whoever lacks more is shown to lack so many."""


@dataclass(frozen=True, slots=True)
class Queue:
    """``waiting`` activities, the oldest of ``oldest_ms``; ``set_aside`` ones are not tried any more."""

    waiting: int = 0
    oldest_ms: int | None = None
    set_aside: int = 0

    def __add__(self, other: Queue) -> Queue:
        ages = [one for one in (self.oldest_ms, other.oldest_ms) if one is not None]
        return Queue(self.waiting + other.waiting, min(ages, default=None), self.set_aside + other.set_aside)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """An activity that one host does not take. ``next_try_ms`` None: set aside, not tried any more."""

    host: str
    activity_id: str
    kind: Kind
    subject: str
    reason: str
    attempts: int
    created_ms: int
    next_try_ms: int | None


class Queues:
    """Reads of the whole log; none of them belongs on a hot path."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[str, Queue]:
        """Every host that is owed something, or does not take something. Raises StorageUnavailable."""
        async with self._database.read() as tx:
            found = await _own(tx)
            for more in (await _common(tx), await _excepted(tx)):
                for host, queue in more.items():
                    found[host] = found.get(host, Queue()) + queue
        return found

    async def undelivered(self, limit: int, host: str | None = None) -> list[Undelivered]:
        """What hosts (or one) do not take, newest first. Raises StorageUnavailable."""
        query = (
            select(delivery_exceptions, _log.activity_id, _log.kind, _log.subject, _log.created_ms)
            .join(activity_log, _log.seq == _exceptions.seq)
            .order_by(_exceptions.seq.desc(), _exceptions.host)
            .limit(limit)
        )
        if host is not None:
            query = query.where(_exceptions.host == host)
        async with self._database.read() as tx:
            return [
                Undelivered(
                    row.host,
                    row.activity_id,
                    Kind(row.kind),
                    row.subject,
                    row.reason,
                    row.attempts,
                    row.created_ms,
                    None if row.set_aside else row.next_try_ms,
                )
                for row in await tx.execute(query)
            ]

    async def retry(self, host: str, activity_id: str | None = None) -> int:
        """Let one activity (or all) that the host does not take be tried again now; how many. One that is refused
        again is set aside again at once. Raises StorageUnavailable."""
        change = update(delivery_exceptions).where(_named(host, activity_id)).values(set_aside=False, next_try_ms=0)

        async def work(tx: Transaction) -> int:
            return (await tx.execute(change)).rowcount

        return await self._database.write(work)

    async def drop(self, host: str, activity_id: str | None = None) -> int:
        """Give up one activity (or all) that the host does not take; how many. Raises StorageUnavailable."""

        async def work(tx: Transaction) -> int:
            return (await tx.execute(delete(delivery_exceptions).where(_named(host, activity_id)))).rowcount

        return await self._database.write(work)


def _named(host: str, activity_id: str | None) -> ColumnElement[bool]:
    of_host = _exceptions.host == host
    if activity_id is None:
        return of_host
    return and_(of_host, _exceptions.seq.in_(select(_log.seq).where(_log.activity_id == activity_id)))


async def _own(tx: Transaction) -> dict[str, Queue]:
    """What is for one host alone and behind nobody's cursor yet."""
    query = (
        select(_cursors.host, func.count(), func.min(_log.created_ms))
        .join(activity_log, and_(_log.audience == _cursors.host, _log.seq > _cursors.seq))
        .group_by(_cursors.host)
    )
    return {host: Queue(waiting, oldest_ms) for host, waiting, oldest_ms in await tx.execute(query)}


async def _common(tx: Transaction) -> dict[str, Queue]:
    """What is said to all followers: counted once for each place in the log at which somebody stands."""
    heard = case((_cursors.seq > _cursors.followed_seq, _cursors.seq), else_=_cursors.followed_seq)
    follows = _cursors.followed_seq.is_not(None)
    places = select(heard.label("seq")).where(follows).distinct().subquery()
    newer = and_(_log.audience == FOLLOWERS, _log.seq > places.c.seq)
    behind = select(_log.seq).where(newer).limit(MAX_COUNTED).correlate(places).subquery()
    query = select(
        places.c.seq,
        select(func.count()).select_from(behind).scalar_subquery(),
        select(_log.created_ms).where(newer).order_by(_log.seq).limit(1).correlate(places).scalar_subquery(),
    )
    at = {seq: Queue(waiting, oldest_ms) for seq, waiting, oldest_ms in await tx.execute(query) if waiting}
    cursors = await tx.execute(select(_cursors.host, heard).where(follows, heard.in_(list(at)))) if at else ()
    return {host: at[seq] for host, seq in cursors}


async def _excepted(tx: Transaction) -> dict[str, Queue]:
    query = (
        select(_exceptions.host, _exceptions.set_aside, func.count(), func.min(_log.created_ms))
        .join(activity_log, _log.seq == _exceptions.seq)
        .group_by(_exceptions.host, _exceptions.set_aside)
    )
    found: dict[str, Queue] = {}
    for host, set_aside, count, oldest_ms in await tx.execute(query):
        queue = Queue(set_aside=count) if set_aside else Queue(count, oldest_ms)
        found[host] = found.get(host, Queue()) + queue
    return found
