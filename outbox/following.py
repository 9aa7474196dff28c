"""Following other instances, and answering those that follow us."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from federation.documents import InstanceIdentity
from federation.peers import FollowRecord, FollowState, Peers
from federation.peers.policies import OWN_HOST
from federation.vocabulary import Follow, build
from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.ending import end
from foundation.errors import Refused, StorageUnavailable
from foundation.leases import Alone, Leases
from foundation.urls import authority
from outbox.announcer import activity_of
from outbox.discovery import Discovery, Target
from outbox.log import ActivityLog, Kind
from outbox.posting import Outcome

_logger = logging.getLogger(__name__)

FIRST_RETRY_MS = 5_000
"""A configured peer that cannot be found is looked for again after this, then after twice as long, and so on."""


LEASE = "following"
"""What following goes by where several processes serve the instance."""
OTHERS_MS = 5_000
"""How long until a process that leaves it to another looks again."""


class Post(Protocol):
    """As `outbox.posting.Poster.post`: one signed attempt, which never raises for what the peer does."""

    async def __call__(self, host: str, actor: str, url: str, body: bytes) -> Outcome: ...


class Following:
    """The instance actor's follows. Durable: what is to be sent joins the transaction that notes it.

    PeerTube drops a follower whose inbox failed too often without telling; there is no asking it, so every accepted
    follow is sent again each ``refollow_ms`` under its old id, which changes nothing where it still stands.
    """

    def __init__(
        self,
        *,
        identity: InstanceIdentity,
        peers: Peers,
        discovery: Discovery,
        log: ActivityLog,
        database: Database,
        clock: Clock,
        committed: Callable[[], None],
        ask_software: Callable[[str, str], None],
        post: Post,
        refollow_ms: int = 43_200_000,
        leases: Leases | None = None,
    ) -> None:
        self._leases = leases or Alone()
        self._identity = identity
        self._peers = peers
        self._discovery = discovery
        self._log = log
        self._database = database
        self._clock = clock
        self._committed = committed
        self._ask_software = ask_software
        self._post = post
        self._refollow_ms = refollow_ms
        self._number = 0
        self._task: asyncio.Task[None] | None = None

    async def follow_host(self, text: str) -> Refused | FollowState:
        """Ask to follow an instance: a host, ``name@host``, or an actor's URL.

        Refused: see `Discovery.find`, and ``own_host``, ``blocked``, ``not_listed``. Raises StorageUnavailable.
        """
        target = await self._discovery.find(text)
        if isinstance(target, Refused):
            return target
        refusal = self._peers.may_speak(target.host)
        if refusal is not None:
            # For whoever signs with it that is 401; here no signature is wrong.
            return Refused(refusal.reason, refusal.detail, 400) if refusal is OWN_HOST else refusal
        await self._ask(target)
        known = self._known(target.actor.id)
        self._ask_software(target.host, target.actor.id.partition(":")[0])
        return FollowState.PENDING if known is None else known.state

    async def unfollow(self, text: str) -> bool:
        """End our follows of a host, a handle's host or an actor; False when there is none."""
        found = [record for record in self._peers.following() if names_record(text, record)]
        for record in found:
            await self._end(record)
        if found:
            self._committed()
        return bool(found)

    async def remove_follower(self, text: str) -> bool:
        """End what a host's actors (or one actor) have asked of us, and tell them; False when there is none."""
        found, _ = self._peers.list_followers(0, 1_000_000)
        named = [record for record in found if names_record(text, record)]
        for record in named:
            await self._dismiss(record)
        if named:
            self._committed()
        return bool(named)

    async def reject_all(self, host: str) -> int:
        """End the follows of a host that is about to be blocked, and say so once, now: later it is not spoken to.

        How many there were. Whether the host hears it is its own affair.
        """
        found, _ = self._peers.list_followers(0, 1_000_000)
        ended = [record for record in found if record.host == host]
        for record in ended:
            await self._peers.remove_follower(record.actor, record.object)
            document = self._answer_to(_request(record), accepted=False)
            await self._post(host, document["actor"], record.inbox, build.encode(document))
        return len(ended)

    async def part(self, host: str) -> None:
        """End all follows between us and a host that is about to be blocked, theirs and ours, and say so once, now."""
        # Side by side: a host that does not answer is not waited for twice.
        await asyncio.gather(self.reject_all(host), self._undo_all(host))

    async def _undo_all(self, host: str) -> None:
        for record in [record for record in self._peers.following() if record.host == host]:
            (await self._database.write(partial(self._peers.remove_following, actor=record.actor)))()
            undo = build.undo_follow(Follow(record.follow_id, record.object, record.actor))
            await self._post(host, record.object, record.inbox, build.encode(undo))

    async def answer_follow(
        self, tx: Transaction, *, follow_id: str, actor: str, inbox: str, target: str, accepted: bool
    ) -> None:
        """Accept or Reject a Follow of ``target`` (ours) by ``actor``, into the actor's own ``inbox``."""
        await self._answer(tx, Follow(follow_id, actor, target), inbox, accepted)

    async def refollow(self) -> int:
        """Send every Follow that was not rejected again; how many."""
        records = [record for record in self._peers.following() if record.state is not FollowState.REJECTED]

        async def work(tx: Transaction) -> None:
            for record in records:
                follow = {"type": "Follow", "id": record.follow_id, "actor": record.object, "object": record.actor}
                await self._send(tx, Kind.FOLLOW, follow, record.host, record.actor, record.inbox)

        if records:
            await self._database.write(work)
            self._committed()
        return len(records)

    async def follow_configured(self) -> int:
        """Follow the peers that the configuration says to follow and that were not asked yet; how many still lack."""
        asked = {record.host for record in self._peers.following()}
        lacking = 0
        for policy in self._peers.policies():
            blocked = self._peers.describe(policy.host).blocked
            if policy.follow and not blocked and policy.host not in asked:
                outcome = await self.follow_host(policy.host)
                if isinstance(outcome, Refused):
                    lacking += 1
                    _logger.info("cannot follow %s yet: %s", policy.host, outcome.reason)
        return lacking

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="following")

    async def stop(self) -> None:
        await end(self._task)
        self._task = None

    async def _run(self) -> None:
        next_refollow_ms = self._clock.monotonic_ms() + self._refollow_ms
        retry_ms = FIRST_RETRY_MS
        while True:
            lacking, mine = 1, True
            try:
                mine = self._leases.holds(LEASE)
                lacking = await self.follow_configured() if mine else 1
                if self._clock.monotonic_ms() >= next_refollow_ms:
                    if mine:
                        await self.refollow()
                    next_refollow_ms = self._clock.monotonic_ms() + self._refollow_ms
            except StorageUnavailable:
                pass
            except Exception:
                _logger.exception("following met a bug; it goes on")
            wait_ms = max(1_000, next_refollow_ms - self._clock.monotonic_ms())
            if not mine:
                wait_ms = min(wait_ms, OTHERS_MS)
            elif lacking:
                wait_ms, retry_ms = min(wait_ms, retry_ms), min(retry_ms * 2, self._refollow_ms)
            else:
                retry_ms = FIRST_RETRY_MS
            await self._clock.sleep_ms(wait_ms)

    async def _ask(self, target: Target) -> None:
        actor = target.actor
        known = self._known(actor.id)
        follow = build.follow(actor=self._identity.actor_url, number=self._next_number(), object_=actor.id)
        if known is not None:
            follow["id"] = known.follow_id

        async def work(tx: Transaction) -> Callable[[], None]:
            apply = await self._peers.add_following(
                tx,
                actor=actor.id,
                host=target.host,
                inbox=actor.inbox,
                shared_inbox=actor.shared_inbox,
                follow_id=follow["id"],
                object_=self._identity.actor_url,
            )
            await self._send(tx, Kind.FOLLOW, follow, target.host, actor.id, actor.inbox)
            return apply

        apply = await self._database.write(work)
        apply()
        self._committed()

    async def _end(self, record: FollowRecord) -> None:
        undo = build.undo_follow(Follow(record.follow_id, record.object, record.actor))

        async def work(tx: Transaction) -> Callable[[], None]:
            apply = await self._peers.remove_following(tx, record.actor)
            await self._send(tx, Kind.UNDO, undo, record.host, record.actor, record.inbox)
            return apply

        apply = await self._database.write(work)
        apply()

    async def _dismiss(self, record: FollowRecord) -> None:
        async def work(tx: Transaction) -> None:
            await self._answer(tx, _request(record), record.inbox, False)

        await self._database.write(work)
        await self._peers.remove_follower(record.actor, record.object)

    async def _answer(self, tx: Transaction, request: Follow, inbox: str, accepted: bool) -> None:
        host = authority(request.actor)
        if host is None:
            return
        kind = Kind.ACCEPT if accepted else Kind.REJECT
        await self._send(tx, kind, self._answer_to(request, accepted=accepted), host, request.actor, inbox)

    def _answer_to(self, request: Follow, *, accepted: bool) -> build.Document:
        # The same Follow gets the same answer: sent again, it replaces one that is still waiting.
        digest = hashlib.sha256(f"{request.actor} {request.id} {request.object}".encode()).digest()
        answer = build.accept if accepted else build.reject
        return answer(base_url=self._identity.base_url, number=int.from_bytes(digest[:6], "big"), request=request)

    async def _send(
        self, tx: Transaction, kind: Kind, document: build.Document, host: str, recipient: str, inbox: str
    ) -> None:
        activity = activity_of(kind, recipient, document, audience=host, recipient=recipient, inbox=inbox)
        await self._log.append(tx, activity, self._clock.now_ms())

    def _known(self, actor: str) -> FollowRecord | None:
        return next((record for record in self._peers.following() if record.actor == actor), None)

    def _next_number(self) -> int:
        self._number = max(self._number + 1, self._clock.now_ms())
        return self._number


def names_record(text: str, record: FollowRecord) -> bool:
    """Whether a host, ``name@host`` or actor's URL means this follow's remote side."""
    text = text.strip()
    if text == record.actor:
        return True
    name, _, host = text.removeprefix("@").rpartition("@")
    return host.lower() == record.host and (not name or record.actor.rstrip("/").rpartition("/")[2] == name)


def _request(record: FollowRecord) -> Follow:
    return Follow(record.follow_id, record.actor, record.object)
