"""What was said for good: one row per activity, a cursor per peer, and a row per peer and activity only for trouble."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Delete, and_, delete, exists, func, insert, or_, select, text, tuple_, update

from foundation.database import Database, Transaction, upsert
from outbox.tables import activity_log, delivery_exceptions, peer_cursors

FOLLOWERS = "*"
"""The audience of what everybody who follows us hears; no authority is spelt like this."""

_log, _cursors, _exceptions = activity_log.c, peer_cursors.c, delivery_exceptions.c


class Kind(enum.Enum):
    """The activity's type, and for a View that it is a counted one."""

    VIEW = "view"
    CREATE = "create"
    ANNOUNCE = "announce"
    UPDATE = "update"
    DELETE = "delete"
    FOLLOW = "follow"
    UNDO = "undo"
    ACCEPT = "accept"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Activity:
    """An activity to be said: ``body`` is its JSON, ``subject`` what it is about, ``actor`` whose key signs it.

    ``audience`` is `FOLLOWERS` or the authority of one host; then ``recipient`` is the actor there, and ``inbox``
    that actor's own, when it must not go to the shared one (Follow and its answers).
    """

    activity_id: str
    kind: Kind
    subject: str
    actor: str
    body: bytes
    audience: str = FOLLOWERS
    recipient: str = ""
    inbox: str = ""


@dataclass(frozen=True, slots=True)
class Logged:
    """An activity as a peer is owed it. ``attempts`` is 0 unless it stands among the peer's exceptions."""

    seq: int
    kind: Kind
    actor: str
    recipient: str
    inbox: str
    body: bytes
    created_ms: int
    attempts: int = 0


class ActivityLog:
    """The log. Methods with ``tx`` write through the caller's transaction, the others through their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, tx: Transaction, activity: Activity, now_ms: int) -> None:
        """Add an activity. The same id said again to the same audience moves to the end.

        An Update or Delete makes earlier Updates of its subject pointless, a Delete its Announce too: they are dropped,
        so that a video that moves for days costs one row.
        """
        await tx.execute(delete(activity_log).where(self._replaced(activity)))
        result = await tx.execute(
            insert(activity_log)
            .values(
                activity_id=activity.activity_id,
                kind=activity.kind.value,
                subject=activity.subject,
                actor=activity.actor,
                audience=activity.audience,
                recipient=activity.recipient,
                inbox=activity.inbox,
                body=activity.body,
                created_ms=now_ms,
            )
            .returning(_log.id)
        )
        if tx.dialect.name == "sqlite":
            # One transaction after the other: the order of numbers is that of commits.
            number = result.scalar_one()
            await tx.execute(update(activity_log).where(_log.id == number).values(seq=number))
        if activity.audience != FOLLOWERS:
            # A host without a cursor has nothing from earlier in the log.
            cursor = upsert(tx, peer_cursors).values(host=activity.audience, seq=0)
            await tx.execute(cursor.on_conflict_do_nothing())

    async def number(self) -> int:
        """Give their numbers to activities that were committed since the last time; how many. To be called before
        anything is read; several processes may at once."""
        if self._database.dialect == "sqlite":
            return 0
        async with self._database.read() as tx:
            found = await tx.execute(select(_log.id).where(_log.seq.is_(None)).limit(1))
            if found.first() is None:
                return 0
        return await self._database.write(_number)

    @staticmethod
    def _replaced(activity: Activity) -> ColumnElement[bool]:
        same = _log.activity_id == activity.activity_id
        if activity.kind in (Kind.UPDATE, Kind.DELETE):
            kinds = [Kind.UPDATE.value] + ([Kind.ANNOUNCE.value] if activity.kind is Kind.DELETE else [])
            same = or_(same, and_(_log.subject == activity.subject, _log.kind.in_(kinds)))
        return and_(_log.audience == activity.audience, same)

    async def heads(self, after_seq: int) -> dict[str, int]:
        """The newest number per audience among the activities after ``after_seq``."""
        await self.number()
        async with self._database.read() as tx:
            query = select(_log.audience, func.max(_log.seq)).where(_log.seq > after_seq).group_by(_log.audience)
            return {str(audience): int(seq) for audience, seq in await tx.execute(query)}

    async def owed(self) -> list[str]:
        """Hosts with anything undelivered, found once at start."""
        await self.number()
        # Two looks into one index: asked as one, PostgreSQL gathers every row of an audience for each of the hosts.
        behind = _log.seq > _cursors.seq
        own = exists().where(_log.audience == _cursors.host, behind)
        common = exists().where(_log.audience == FOLLOWERS, behind, _log.seq > _cursors.followed_seq)
        async with self._database.read() as tx:
            late = await tx.scalars(select(_cursors.host).where(or_(own, common)))
            troubled = await tx.scalars(select(_exceptions.host).where(_exceptions.set_aside.is_(False)).distinct())
            return sorted({*late, *troubled})

    async def pending(self, host: str, limit: int, now_ms: int) -> list[Logged]:
        """What the host is owed now, oldest first: due exceptions, then at most ``limit`` after its cursor."""
        await self.number()
        async with self._database.read() as tx:
            row = (
                await tx.execute(select(_cursors.seq, _cursors.followed_seq).where(_cursors.host == host))
            ).one_or_none()
            if row is None:
                return []
            found = await self._due_exceptions(tx, host, limit, now_ms)
            fresh = await self._after(tx, host, row.seq, limit)
            if row.followed_seq is not None:
                fresh += await self._after(tx, FOLLOWERS, max(row.seq, row.followed_seq), limit)
        fresh.sort(key=lambda logged: logged.seq)
        return found + fresh[:limit]

    async def next_try_ms(self, host: str) -> int | None:
        """When the host's next exception is due; None when there is none."""
        async with self._database.read() as tx:
            waiting = and_(_exceptions.host == host, _exceptions.set_aside.is_(False))
            found: int | None = await tx.scalar(select(func.min(_exceptions.next_try_ms)).where(waiting))
            return found

    async def delivered(self, host: str, items: Sequence[Logged], now_ms: int) -> None:
        """The host has these (or they are given up): the first of `pending`, none left out."""
        tried = [logged.seq for logged in items if logged.attempts > 0]
        last = max((logged.seq for logged in items if logged.attempts == 0), default=0)

        async def work(tx: Transaction) -> None:
            if tried:
                await tx.execute(
                    delete(delivery_exceptions).where(_exceptions.host == host, _exceptions.seq.in_(tried))
                )
            at_host = update(peer_cursors).where(_cursors.host == host)
            await tx.execute(at_host.values(success_ms=now_ms))
            if last:
                await tx.execute(at_host.where(_cursors.seq < last).values(seq=last))

        await self._database.write(work)

    async def postpone(
        self, host: str, item: Logged, *, reason: str, next_try_ms: int, set_aside: bool = False
    ) -> None:
        """The host does not take this one: it leaves the row, to be tried alone later, or (``set_aside``) never."""
        state = {
            "attempts": item.attempts + 1,
            "next_try_ms": next_try_ms,
            "reason": reason[:64],
            "set_aside": set_aside,
        }

        async def work(tx: Transaction) -> None:
            statement = upsert(tx, delivery_exceptions).values(host=host, seq=item.seq, **state)
            await tx.execute(statement.on_conflict_do_update(index_elements=["host", "seq"], set_=state))
            if item.attempts == 0:
                ahead = and_(_cursors.host == host, _cursors.seq < item.seq)
                await tx.execute(update(peer_cursors).where(ahead).values(seq=item.seq))

        await self._database.write(work)

    async def start_following(self, tx: Transaction, host: str) -> None:
        """From now on the host hears what is said to followers; nothing changes when it already does. Call ``number``
        before, or it hears a little more."""
        newest = int(await tx.scalar(select(func.max(_log.seq))) or 0)
        statement = upsert(tx, peer_cursors).values(host=host, seq=newest, followed_seq=newest)
        await tx.execute(
            statement.on_conflict_do_update(
                index_elements=["host"], set_={"followed_seq": newest}, where=_cursors.followed_seq.is_(None)
            )
        )

    async def stop_following(self, tx: Transaction, host: str) -> None:
        """The host hears only what is for it alone."""
        await tx.execute(update(peer_cursors).where(_cursors.host == host).values(followed_seq=None))

    async def forget(self, tx: Transaction, host: str) -> None:
        """Drop all that is owed to a host (it was blocked)."""
        await tx.execute(delete(activity_log).where(_log.audience == host))
        await tx.execute(delete(delivery_exceptions).where(_exceptions.host == host))
        await tx.execute(delete(peer_cursors).where(_cursors.host == host))

    async def followers_known(self) -> set[str]:
        """Hosts that hear what is said to followers."""
        async with self._database.read() as tx:
            return set(await tx.scalars(select(_cursors.host).where(_cursors.followed_seq.is_not(None))))

    async def purge(self, created_before_ms: int) -> int:
        """Drop what everybody has, what is too old, and exceptions without an activity; how many activities went."""
        await self.number()
        troubled = exists().where(_exceptions.seq == _log.seq)
        has_it = exists().where(_cursors.host == _log.audience, _cursors.seq >= _log.seq)
        slowest = select(func.min(_cursors.seq)).where(_cursors.followed_seq.is_not(None)).scalar_subquery()
        all_have_it = and_(_log.audience == FOLLOWERS, or_(slowest.is_(None), _log.seq <= slowest))

        async def work(tx: Transaction) -> int:
            old = await tx.execute(_in_order(_log.created_ms < created_before_ms))
            heard = await tx.execute(_in_order(and_(or_(has_it, all_have_it), ~troubled)))
            orphans = select(_exceptions.host, _exceptions.seq).where(~exists().where(_log.seq == _exceptions.seq))
            orphans = orphans.order_by(_exceptions.host, _exceptions.seq).with_for_update()
            key = tuple_(_exceptions.host, _exceptions.seq)
            await tx.execute(delete(delivery_exceptions).where(key.in_(orphans)))
            return old.rowcount + heard.rowcount

        return await self._database.write(work)

    @staticmethod
    async def _after(tx: Transaction, audience: str, seq: int, limit: int) -> list[Logged]:
        query = select(activity_log).where(_log.audience == audience, _log.seq > seq).order_by(_log.seq).limit(limit)
        return [
            Logged(row.seq, Kind(row.kind), row.actor, row.recipient, row.inbox, row.body, row.created_ms)
            for row in await tx.execute(query)
        ]

    @staticmethod
    async def _due_exceptions(tx: Transaction, host: str, limit: int, now_ms: int) -> list[Logged]:
        query = (
            select(activity_log, _exceptions.attempts)
            .join(delivery_exceptions, _log.seq == _exceptions.seq)
            .where(_exceptions.host == host, _exceptions.set_aside.is_(False), _exceptions.next_try_ms <= now_ms)
            .order_by(_log.seq)
            .limit(limit)
        )
        return [
            Logged(row.seq, Kind(row.kind), row.actor, row.recipient, row.inbox, row.body, row.created_ms, row.attempts)
            for row in await tx.execute(query)
        ]


def _in_order(which: ColumnElement[bool]) -> Delete:
    """Delete activities, locked by their ids first: two processes never wait for each other in a circle."""
    return delete(activity_log).where(_log.id.in_(select(_log.id).where(which).order_by(_log.id).with_for_update()))


async def _number(tx: Transaction) -> int:
    # One process at a time, until its commit: whoever sees a number sees all that are lower. Rows that another
    # transaction is about to take away are left to it. Holds no other lock while it waits for the first.
    await tx.execute(select(func.pg_advisory_xact_lock(_NUMBERING)))
    result = await tx.execute(_GIVE_NUMBERS)
    return result.rowcount


_NUMBERING = 0x0FED1_0106
"""The advisory lock of numbering the log; any number that nothing else uses."""

_GIVE_NUMBERS = text(
    """
    UPDATE activity_log SET seq = numbered.seq
    FROM (
        SELECT id, nextval(pg_get_serial_sequence('activity_log', 'id')) AS seq
        FROM (SELECT id FROM activity_log WHERE seq IS NULL ORDER BY id FOR UPDATE SKIP LOCKED) AS fresh
    ) AS numbered
    WHERE activity_log.id = numbered.id
    """
)
