"""Follow, and what ends or answers one: judged, then committed, or spooled while the database is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec

from federation.actors import ActorDocument
from federation.keys import KeyCache, RemoteKey
from federation.peers import Apply, Peers
from federation.vocabulary import Accept, Follow, Reject, Undo
from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import Refused, StorageUnavailable
from foundation.ratelimit import WindowLimiter
from foundation.spool import Applied, Spool
from inbox.reasons import ACCEPTED_AND_DROPPED, InboxReason, drop
from inbox.sender import Sender

SPOOLED = "follow"

RETRY_AFTER_S = 30
FETCHES_PER_MINUTE = 30
"""Actor documents that the Follows of one host may make us fetch; most need none."""


class FollowAnswers(Protocol):
    """The door out, as far as a Follow needs it: the answer joins the transaction of the follow it answers."""

    async def answer_follow(
        self, tx: Transaction, *, follow_id: str, actor: str, inbox: str, target: str, accepted: bool
    ) -> None: ...


class ActorSource(Protocol):
    async def fetch_actor(self, url: str) -> ActorDocument | Refused: ...


@dataclass(frozen=True, slots=True)
class OwnActors:
    """Which URLs are actors of ours that can be followed."""

    is_ours: Callable[[str], Awaitable[bool]]


class _Asked(msgspec.Struct, frozen=True, tag="asked"):
    """A remote actor follows one of ours."""

    actor: str
    host: str
    inbox: str
    shared_inbox: str | None
    follow_id: str
    object: str


class _Undone(msgspec.Struct, frozen=True, tag="undone"):
    """A remote actor takes a follow back, named by what it follows or by its id."""

    actor: str
    object: str | None
    follow_id: str | None


class _Answered(msgspec.Struct, frozen=True, tag="answered"):
    """A remote actor says what it thinks of a follow of ours."""

    actor: str
    accepted: bool


_News = _Asked | _Undone | _Answered
_decoder: msgspec.msgpack.Decoder[_News] = msgspec.msgpack.Decoder(_News)


class FollowHandler:
    """What is spooled is judged once more when it is replayed: who may follow may have changed.

    ``committed`` tells the door out that an answer waits in its log.
    """

    def __init__(
        self,
        *,
        peers: Peers,
        actors: ActorSource,
        keys: KeyCache,
        answers: FollowAnswers,
        own: OwnActors,
        database: Database,
        clock: Clock,
        committed: Callable[[], None],
        spool: Spool | None,
    ) -> None:
        self._peers = peers
        self._actors = actors
        self._keys = keys
        self._answers = answers
        self._own = own
        self._database = database
        self._committed = committed
        self._fetches: WindowLimiter[str] = WindowLimiter(clock, FETCHES_PER_MINUTE, 60_000, 10_000)
        self._spool = spool
        if spool is not None:
            # One at a time: each is judged by what those before it have changed.
            spool.replays(SPOOLED, self._replay, together=1)

    async def follow(self, follow: Follow, sender: Sender) -> Refused | None:
        if not await self._own.is_ours(follow.object):
            return drop(InboxReason.UNKNOWN_OBJECT, "no such actor to follow")
        inboxes = await self._inboxes(sender)
        if isinstance(inboxes, Refused):
            return inboxes
        return await self._take(_Asked(sender.actor, sender.host, *inboxes, follow.id, follow.object))

    async def answer(self, answer: Accept | Reject, sender: Sender) -> Refused | None:
        quoted = answer.object
        if isinstance(quoted, Follow) and quoted.object != sender.actor:
            return drop(InboxReason.NOT_OWNER, "it answers a follow of somebody else")
        await self._hear_of_others(sender)
        return await self._take(_Answered(sender.actor, isinstance(answer, Accept)))

    async def undo(self, undo: Undo, sender: Sender) -> Refused | None:
        undone = undo.object
        if isinstance(undone, Follow):
            if undone.actor != sender.actor:
                return drop(InboxReason.NOT_OWNER, "only the follower can undo its follow")
            await self._hear_of_others(sender)
            return await self._take(_Undone(sender.actor, undone.object, None))
        if isinstance(undone, str):
            await self._hear_of_others(sender)
            return await self._take(_Undone(sender.actor, None, undone))
        return drop(InboxReason.UNSUPPORTED_TYPE, "Undo of something else than a Follow")

    async def _hear_of_others(self, sender: Sender) -> None:
        """The follow that is meant may have been made by another process a moment ago."""
        with suppress(StorageUnavailable):
            await self._peers.refresh_host(sender.host)

    async def _inboxes(self, sender: Sender) -> tuple[str, str | None] | Refused:
        """Where to answer, and its host's: what came with the sender's key, else its document."""
        key = await self._keys.get(sender.actor)
        if isinstance(key, RemoteKey) and key.actor == sender.actor and key.inbox is not None:
            return key.inbox, key.shared_inbox
        wait_s = self._fetches.hit(sender.host)
        if wait_s is not None:
            return Refused(InboxReason.TOO_MANY_REQUESTS, "too many unknown followers", 429, wait_s)
        actor = await self._actors.fetch_actor(sender.actor)
        if isinstance(actor, Refused):
            return Refused(actor.reason, actor.detail, 503, RETRY_AFTER_S)
        if actor.id != sender.actor:
            return drop(InboxReason.NOT_OWNER, "the follower's document is somebody else's")
        return actor.inbox, actor.shared_inbox

    async def _take(self, news: _News) -> Refused | None:
        spool = self._spool
        # What waits in the spool came first.
        if spool is None or not spool.pending(SPOOLED):
            patience_ms = None if spool is None else spool.settings.after_ms
            try:
                refusal, apply = await self._database.write(partial(self._do, news=news), patience_ms=patience_ms)
            except StorageUnavailable:
                # Done twice it is the same, so it may have been committed after all.
                if spool is None:
                    raise
            else:
                self._done(news, apply)
                return refusal
        assert spool is not None
        await spool.add(SPOOLED, msgspec.msgpack.encode(news))
        return None

    async def _replay(self, tx: Transaction, payloads: Sequence[bytes]) -> Applied:
        (payload,) = payloads
        news = _decoder.decode(payload)
        _, apply = await self._do(tx, news=news)
        return partial(self._done, news, apply)

    def _done(self, news: _News, apply: Apply | None) -> None:
        if apply is not None:
            apply()
        if isinstance(news, _Asked):
            self._committed()

    async def _do(self, tx: Transaction, *, news: _News) -> tuple[Refused | None, Apply | None]:
        if isinstance(news, _Asked):
            return await self._ask(tx, news)
        if isinstance(news, _Answered):
            apply = await self._peers.answered(tx, news.actor, accepted=news.accepted)
            return (None if apply else drop(InboxReason.UNKNOWN_OBJECT, "we asked for no such follow")), apply
        apply = await self._peers.undone(tx, news.actor, news.object, follow_id=news.follow_id)
        return (None if apply else drop(InboxReason.UNKNOWN_OBJECT, "no such follow")), apply

    async def _ask(self, tx: Transaction, asked: _Asked) -> tuple[Refused | None, Apply | None]:
        refusal = self._peers.may_follow(asked.host, asked.actor, asked.object)
        apply = None
        if refusal is None:
            made_room = await self._make_room(tx, asked)
            added = await self._peers.add_follower(
                tx,
                actor=asked.actor,
                host=asked.host,
                inbox=asked.inbox,
                shared_inbox=asked.shared_inbox,
                follow_id=asked.follow_id,
                object_=asked.object,
            )
            apply = added if made_room is None else partial(_both, made_room, added)
        await self._answers.answer_follow(
            tx,
            follow_id=asked.follow_id,
            actor=asked.actor,
            inbox=asked.inbox,
            target=asked.object,
            accepted=refusal is None,
        )
        return None if refusal is None else Refused(refusal.reason, refusal.detail, ACCEPTED_AND_DROPPED), apply

    async def _make_room(self, tx: Transaction, asked: _Asked) -> Apply | None:
        """End the follows whose places this one takes, and say so."""
        displaced = self._peers.displaced_by(asked.host, asked.actor, asked.object)
        if not displaced:
            return None
        for record in displaced:
            await self._answers.answer_follow(
                tx,
                follow_id=record.follow_id,
                actor=record.actor,
                inbox=record.inbox,
                target=record.object,
                accepted=False,
            )
        return await self._peers.displace(tx, displaced)


def _both(first: Apply, then: Apply) -> None:
    first()
    then()
