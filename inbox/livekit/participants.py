"""Who is in LiveKit's rooms, in SQL: what a message changes, whatever order messages come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select, tuple_, update

from foundation.database import Database, Transaction, upsert
from inbox.livekit.messages import STANDARD, LivekitEvent, LivekitParticipant
from inbox.livekit.tables import livekit_messages, livekit_participants

KEPT_MS = 3_600_000
"""How long somebody who left is remembered, for messages that are late."""

LOWEST_KEPT_MS = 3_600_000
"""How long a message is remembered at least."""

_AT_ONCE = 500
"""Viewers asked about in one statement."""

_row, _messages = livekit_participants.c, livekit_messages.c


@dataclass(frozen=True, slots=True)
class Present:
    """Somebody in a room. ``viewer`` is its key."""

    room_sid: str
    sid: str
    room: str
    viewer: bytes
    joined_ms: int
    opened_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """What a message changed: who is a viewer from now on, and who no longer (by room and key). ``late``: it spoke of
    somebody who has left. ``duplicate``: it was taken before."""

    came: tuple[Present, ...] = ()
    went: tuple[Present, ...] = ()
    late: bool = False
    duplicate: bool = False


def role_of(participant: LivekitParticipant) -> str:
    """What somebody is who does not only watch: a word of ``livekit.also_count``, or "" for a viewer.

    Whoever publishes is a publisher; that is known of tracks, not of permissions, which LiveKit grants to everybody by
    default.
    """
    if participant.agent or participant.kind == "AGENT":
        return "agents"
    if participant.recorder or participant.kind == "EGRESS":
        return "recorders"
    if participant.kind == "INGRESS":
        return "ingress"
    if participant.kind != STANDARD:
        return "phones"
    return "hidden" if participant.hidden else ""


class Participants:
    """``also_count``: which of the others are viewers too. Every method raises StorageUnavailable."""

    def __init__(self, database: Database, *, also_count: frozenset[str]) -> None:
        self._database = database
        self._roles = ["", *sorted(also_count - {"publishers"})]
        self._publishers = "publishers" in also_count

    async def apply(self, event: LivekitEvent, viewer: bytes, now_ms: int, until_ms: int) -> Change:
        """Take a message of a room, once. ``viewer`` is the key of its participant, if it has one."""

        async def work(tx: Transaction) -> Change:
            if not await self._is_new(tx, event.id, max(until_ms, now_ms + LOWEST_KEPT_MS)):
                return Change(duplicate=True)
            match event.event:
                case "participant_joined":
                    return await self._joined(tx, event, viewer, now_ms)
                case "participant_left" | "participant_connection_aborted":
                    return await self._left(tx, event, viewer, now_ms)
                case "track_published" | "track_unpublished":
                    return await self._track(tx, event, viewer, now_ms)
                case "room_started":
                    return Change(went=tuple(await self._outlived(tx, event, now_ms)))
                case "room_finished":
                    return await self._finished(tx, event, now_ms)
                case _:
                    return Change()

        return await self._database.write(work)

    async def present(self, after: tuple[str, str], limit: int, before_ms: int) -> list[Present]:
        """Viewers in rooms, in the order of their keys, those after ``after``; without those who came, or of whom
        anything was said, at ``before_ms`` or later."""
        query = (
            select(livekit_participants)
            .where(self._is_viewer(), tuple_(_row.room_sid, _row.sid) > after, _row.seen_ms < before_ms)
            .order_by(_row.room_sid, _row.sid)
            .limit(limit)
        )
        async with self._database.read() as tx:
            return [_present(row) for row in await tx.execute(query)]

    async def count(self) -> int:
        """How many are in rooms, viewers or not."""
        here = and_(_row.left_ms.is_(None), _row.joined_ms.is_not(None))
        async with self._database.read() as tx:
            return int(await tx.scalar(select(func.count()).select_from(livekit_participants).where(here)) or 0)

    async def lose(self, before_ms: int, now_ms: int) -> list[Present]:
        """Whoever joined before ``before_ms`` has left: nobody told us."""

        async def work(tx: Transaction) -> list[Present]:
            overdue = and_(_row.left_ms.is_(None), _row.joined_ms.is_not(None), _row.joined_ms < before_ms)
            return await self._leave(tx, overdue, now_ms)

        return await self._database.write(work)

    async def purge(self, now_ms: int) -> None:
        """Forget who left long ago, and messages that no token proves any more."""

        async def work(tx: Transaction) -> None:
            silent = and_(_row.joined_ms.is_(None), _row.seen_ms < now_ms - KEPT_MS)
            await tx.execute(delete(livekit_participants).where(or_(_row.left_ms < now_ms - KEPT_MS, silent)))
            await tx.execute(delete(livekit_messages).where(_messages.until_ms < now_ms))

        await self._database.write(work)

    # Inside

    @staticmethod
    async def _is_new(tx: Transaction, message: str, until_ms: int) -> bool:
        statement = upsert(tx, livekit_messages).values(id=message, until_ms=until_ms)
        new = statement.on_conflict_do_nothing(index_elements=["id"]).returning(_messages.id)
        return (await tx.execute(new)).one_or_none() is not None

    async def _joined(self, tx: Transaction, event: LivekitEvent, viewer: bytes, now_ms: int) -> Change:
        participant, room = event.participant, event.room
        assert participant is not None
        assert room is not None
        finished = exists().where(_row.room_sid == room.sid, _row.sid == "")
        if await tx.scalar(select(finished)):
            return Change(late=True)
        joined_ms = min(participant.joined_ms or now_ms, now_ms)
        told = {
            "viewer": viewer,
            "joined_ms": joined_ms,
            "opened_ms": min(room.created_ms or joined_ms, joined_ms),
            "role": role_of(participant),
            "publisher": participant.publisher,
            "seen_ms": now_ms,
        }
        row = await self._put(tx, event, told, told)
        went = tuple(await self._outlived(tx, event, now_ms))
        if row.left_ms is not None:
            return Change(went=went, late=True)
        return Change(came=(_present(row),) if self._watches(row) else (), went=went)

    async def _left(self, tx: Transaction, event: LivekitEvent, viewer: bytes, now_ms: int) -> Change:
        assert event.participant is not None
        assert event.room is not None
        here = and_(self._of(event), _row.left_ms.is_(None), _row.joined_ms.is_not(None))
        went = await self._leave(tx, here, now_ms)
        # Also of somebody who has not come yet: its "joined" is late, then.
        gone = {"left_ms": func.coalesce(_row.left_ms, now_ms), "seen_ms": now_ms}
        await self._put(tx, event, {"viewer": viewer, "left_ms": now_ms, "seen_ms": now_ms}, gone)
        return Change(went=tuple(went))

    async def _track(self, tx: Transaction, event: LivekitEvent, viewer: bytes, now_ms: int) -> Change:
        step = 1 if event.event == "track_published" else -1
        more = {"tracks": _row.tracks + step, "seen_ms": now_ms}
        row = await self._put(tx, event, {"viewer": viewer, "tracks": step, "seen_ms": now_ms}, more)
        if row.joined_ms is None or row.left_ms is not None or self._publishers or row.role not in self._roles:
            return Change()
        if row.publisher:
            return Change()
        if step > 0 and row.tracks == 1:
            return Change(went=tuple(await self._alone(tx, [_present(row)])))
        return Change(came=(_present(row),)) if step < 0 and row.tracks == 0 else Change()

    async def _finished(self, tx: Transaction, event: LivekitEvent, now_ms: int) -> Change:
        assert event.room is not None
        sid = event.room.sid
        here = and_(_row.room_sid == sid, _row.left_ms.is_(None), _row.joined_ms.is_not(None))
        went = await self._leave(tx, here, now_ms)
        await self._close(tx, sid, event.room.name, now_ms)
        return Change(went=tuple(went))

    async def _outlived(self, tx: Transaction, event: LivekitEvent, now_ms: int) -> list[Present]:
        """A room has one opening at a time: whoever is still in an earlier one than this has left it."""
        assert event.room is not None
        sid, name, created_ms = event.room.sid, event.room.name, event.room.created_ms
        earlier = and_(_row.room == name, _row.opened_ms < created_ms, _row.room_sid != sid, _row.left_ms.is_(None))
        for over in list(await tx.scalars(select(_row.room_sid).where(earlier).distinct())):
            await self._close(tx, over, name, now_ms)
        return await self._leave(tx, and_(earlier, _row.joined_ms.is_not(None)), now_ms)

    @staticmethod
    async def _close(tx: Transaction, sid: str, name: str, now_ms: int) -> None:
        """Nobody comes into this opening any more."""
        tomb = {"room": name, "viewer": b"", "opened_ms": now_ms, "left_ms": now_ms, "seen_ms": now_ms}
        statement = upsert(tx, livekit_participants).values(room_sid=sid, sid="", **tomb)
        await tx.execute(statement.on_conflict_do_nothing(index_elements=["room_sid", "sid"]))

    async def _leave(self, tx: Transaction, which: Any, now_ms: int) -> list[Present]:
        """Those have left; of the viewers among them, those who are in the room by no other connection."""
        statement = update(livekit_participants).where(which).values(left_ms=now_ms)
        rows = list(await tx.execute(statement.returning(*livekit_participants.c)))
        return await self._alone(tx, [_present(row) for row in rows if self._watches(row)])

    async def _alone(self, tx: Transaction, went: Sequence[Present]) -> list[Present]:
        """Whoever of these is not here as a viewer any more, by any connection; nobody twice."""
        gone = {(one.room, one.viewer): one for one in went}
        for at in range(0, len(went), _AT_ONCE):
            viewers = [one.viewer for one in went[at : at + _AT_ONCE]]
            others = select(_row.room, _row.viewer).where(self._is_viewer(), _row.viewer.in_(viewers))
            for room, viewer in await tx.execute(others):
                gone.pop((room, bytes(viewer)), None)
        return list(gone.values())

    @staticmethod
    def _of(event: LivekitEvent) -> Any:
        assert event.participant is not None
        assert event.room is not None
        return and_(_row.room_sid == event.room.sid, _row.sid == event.participant.sid)

    @staticmethod
    async def _put(tx: Transaction, event: LivekitEvent, first: dict[str, Any], more: dict[str, Any]) -> Any:
        """The participant's row, made or changed."""
        assert event.participant is not None
        assert event.room is not None
        opened = {"opened_ms": event.room.created_ms or first["seen_ms"]}
        statement = upsert(tx, livekit_participants).values(
            room_sid=event.room.sid, sid=event.participant.sid, room=event.room.name, **{**opened, **first}
        )
        put = statement.on_conflict_do_update(index_elements=["room_sid", "sid"], set_=more)
        return (await tx.execute(put.returning(*livekit_participants.c))).one()

    def _watches(self, row: Any) -> bool:
        """Is (or was, until it left) this somebody who counts?"""
        return row.role in self._roles and (self._publishers or not (row.publisher or row.tracks > 0))

    def _is_viewer(self) -> Any:
        here = and_(_row.left_ms.is_(None), _row.joined_ms.is_not(None), _row.role.in_(self._roles))
        return here if self._publishers else and_(here, _row.publisher.is_(False), _row.tracks <= 0)


def _present(row: Any) -> Present:
    return Present(row.room_sid, row.sid, row.room, bytes(row.viewer), row.joined_ms, row.opened_ms)
