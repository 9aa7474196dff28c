"""Who follows whom: rows in SQL, a picture of them in memory that changes only after the commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from federation.peers import store
from federation.peers.model import Direction, Follower, FollowRecord, FollowState
from federation.ports import PeerEvents
from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.sites import provider_of, site_of

Apply = Callable[[], None]
"""To be called once, after the transaction was committed: it moves the picture in memory and tells the news."""

_Key = tuple[Direction, str, str]


@dataclass(frozen=True, slots=True)
class RemoteActor:
    """The remote side of a follow. ``inbox`` is the actor's own, ``shared_inbox`` its host's, where it has one."""

    actor: str
    host: str
    inbox: str
    shared_inbox: str | None = None


def _key(record: FollowRecord) -> _Key:
    return (record.direction, record.actor, record.object)


class Follows:
    """The book of follows. Writing methods that take ``tx`` join the caller's transaction and return an ``Apply``."""

    def __init__(self, database: Database, clock: Clock, events: PeerEvents) -> None:
        self._database = database
        self._clock = clock
        self._events = events
        self._records: dict[_Key, FollowRecord] = {}
        self._hosts_in: Counter[str] = Counter()
        self._sites_in: Counter[str] = Counter()
        self._total_in = 0
        self._hosts_out: dict[str, FollowState] = {}
        self._followers: tuple[Follower, ...] = ()
        self._actors: frozenset[str] = frozenset()
        self.changed: Callable[[], None] = lambda: None
        self.moved: Callable[[], None] | None = None
        """Called after a change that was made here, where other processes have to read it; they make changes too."""
        self._version = 0

    async def load(self) -> None:
        async with self._database.read() as tx:
            self._records = {_key(record): record for record in await store.load_follows(tx)}
        self._redraw()

    async def refresh(self) -> None:
        """Read what other processes changed, and tell the news of it."""
        while True:
            before = self._version
            async with self._database.read() as tx:
                stored = {_key(record): record for record in await store.load_follows(tx)}
            # What was changed here meanwhile is newer than what was read.
            if self._version == before:
                break
        gone = [record for key, record in self._records.items() if key not in stored]
        kept = [record for key, record in stored.items() if record != self._records.get(key)]
        if not gone and not kept:
            return
        came = [record for record in kept if self._is_news(record, Direction.IN)]
        accepted = [record for record in kept if self._is_news(record, Direction.OUT)]
        rest = [record for record in kept if record not in came and record not in accepted]
        self._applying(rest, gone=gone, here=False)()
        self._applying(came, told=self._events.follower_added, here=False)()
        self._applying(accepted, told=self._events.following_accepted, here=False)()

    async def refresh_host(self, host: str) -> bool:
        """Whether another process changed a follow of this host and this one had not read it; it has now."""
        if self.moved is None:
            return False
        async with self._database.read() as tx:
            stored = {_key(record): record for record in await store.follows_of(tx, host)}
        known = {key: record for key, record in self._records.items() if record.host == host}
        if stored == known:
            return False
        await self.refresh()
        return True

    def _is_news(self, record: FollowRecord, direction: Direction) -> bool:
        if record.direction is not direction or record.state is not FollowState.ACCEPTED:
            return False
        before = self._records.get(_key(record))
        if before is None or before.state is not FollowState.ACCEPTED:
            return True
        return direction is Direction.IN and before.follow_id != record.follow_id

    def followers(self) -> tuple[Follower, ...]:
        """One entry per host with a follower that was accepted, in the order of the hosts' names."""
        return self._followers

    def followers_of(self, host: str) -> int:
        """How many actors of a host follow us."""
        return self._hosts_in[host]

    def hosts_in(self) -> Iterable[tuple[str, int]]:
        """Hosts whose actors follow us, and how many of each."""
        return self._hosts_in.items()

    def followers_among(self, site: str) -> int:
        """How many actors of all hosts of this site or provider follow us."""
        return self._sites_in[site]

    def follower_count(self) -> int:
        return self._total_in

    def is_follower(self, actor: str, object_: str) -> bool:
        return (Direction.IN, actor, object_) in self._records

    def has_actor(self, actor: str) -> bool:
        """Whether this actor follows us, or we follow it or have asked to."""
        return actor in self._actors

    def actors(self) -> frozenset[str]:
        """Those actors; another set whenever they changed."""
        return self._actors

    def following_state(self, host: str) -> FollowState | None:
        """How it stands with our follow of a host; the best one where we follow several of its actors."""
        return self._hosts_out.get(host)

    def records(self, direction: Direction, state: FollowState | None = None) -> list[FollowRecord]:
        """Newest first."""
        found = [
            record
            for record in self._records.values()
            if record.direction is direction and (state is None or record.state is state)
        ]
        return sorted(found, key=lambda record: record.id, reverse=True)

    async def add_follower(self, tx: Transaction, remote: RemoteActor, *, follow_id: str, object_: str) -> Apply:
        before = await store.find_follow(tx, Direction.IN, remote.actor, object_)
        record = await store.put_follow(tx, self._record(Direction.IN, remote, follow_id, object_))
        # A Follow under a new id comes from somebody who forgot us, and wants to hear everything again.
        news = before is None or before.state is not FollowState.ACCEPTED or before.follow_id != follow_id
        return self._applying([record], told=self._events.follower_added if news else None)

    async def add_following(self, tx: Transaction, remote: RemoteActor, *, follow_id: str, object_: str) -> Apply:
        before = await store.find_follow(tx, Direction.OUT, remote.actor, object_)
        # Asking again must not make us deaf to somebody who still accepts us.
        accepted = before is not None and before.state is FollowState.ACCEPTED
        state = FollowState.ACCEPTED if accepted else FollowState.PENDING
        record = await store.put_follow(tx, self._record(Direction.OUT, remote, follow_id, object_, state))
        return self._applying([record])

    async def remove_following(self, tx: Transaction, actor: str) -> Apply:
        found = [record for record in self.records(Direction.OUT) if record.actor == actor]
        await store.delete_follows(tx, (record.id for record in found))
        return self._applying(gone=found)

    async def answered(self, tx: Transaction, actor: str, state: FollowState) -> Apply | None:
        """A followed actor accepted or rejected; None when we asked it for nothing."""
        found = [record for record in self.records(Direction.OUT) if record.actor == actor]
        if not found:
            return None
        now_ms = self._clock.now_ms()
        await store.set_state(tx, [record.id for record in found], state, now_ms)
        told = self._events.following_accepted if state is FollowState.ACCEPTED else None
        return self._applying([replace(record, state=state, updated_ms=now_ms) for record in found], told=told)

    async def remove(self, tx: Transaction, which: Callable[[FollowRecord], bool]) -> Apply | None:
        """Delete every follow that ``which`` picks; None when there is none."""
        found = [record for record in self._records.values() if which(record)]
        if not found:
            return None
        await store.delete_follows(tx, [record.id for record in found])
        return self._applying(gone=found)

    def _record(
        self,
        direction: Direction,
        remote: RemoteActor,
        follow_id: str,
        object_: str,
        state: FollowState = FollowState.ACCEPTED,
    ) -> FollowRecord:
        now_ms = self._clock.now_ms()
        return FollowRecord(
            id=0,
            direction=direction,
            host=remote.host,
            actor=remote.actor,
            inbox=remote.inbox,
            shared_inbox=remote.shared_inbox,
            follow_id=follow_id,
            object=object_,
            state=state,
            created_ms=now_ms,
            updated_ms=now_ms,
        )

    def _applying(
        self,
        records: Iterable[FollowRecord] = (),
        *,
        gone: Iterable[FollowRecord] = (),
        told: Callable[[str], None] | None = None,
        here: bool = True,
    ) -> Apply:
        kept, left = list(records), list(gone)

        def apply() -> None:
            self._version += 1
            was_follower = {record.host for record in left if self._hosts_in[record.host]}
            for record in left:
                self._records.pop(_key(record), None)
            for record in kept:
                self._records[_key(record)] = record
            self._redraw()
            for host in was_follower:
                if not self._hosts_in[host]:
                    self._events.follower_removed(host)
            if told is not None:
                for host in {record.host for record in kept}:
                    told(host)
            if here and self.moved is not None:
                self.moved()

        return apply

    def _redraw(self) -> None:
        inboxes: dict[str, str] = {}
        hosts_in: Counter[str] = Counter()
        hosts_out: dict[str, FollowState] = {}
        best = (FollowState.ACCEPTED, FollowState.PENDING, FollowState.REJECTED)
        for record in self._records.values():
            if record.direction is Direction.OUT:
                known = hosts_out.get(record.host, FollowState.REJECTED)
                hosts_out[record.host] = min(known, record.state, key=best.index)
            elif record.state is FollowState.ACCEPTED:
                hosts_in[record.host] += 1
                if record.shared_inbox is not None or record.host not in inboxes:
                    inboxes[record.host] = record.shared_inbox or record.inbox
        self._hosts_in, self._hosts_out = hosts_in, hosts_out
        self._sites_in = Counter()
        for host, count in hosts_in.items():
            for owner in {site_of(host), provider_of(host)}:
                self._sites_in[owner] += count
        self._total_in = hosts_in.total()
        self._actors = frozenset(record.actor for record in self._records.values())
        self._followers = tuple(Follower(host, inboxes[host]) for host in sorted(inboxes))
        self.changed()
