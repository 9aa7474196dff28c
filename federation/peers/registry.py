"""The peer registry: one place to ask what a host may do, what it runs, what time it has, and who follows whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from federation.peers import store
from federation.peers.admission import Admission
from federation.peers.follows import Apply, Follows, RemoteActor
from federation.peers.known import KnownPeers
from federation.peers.model import (
    Direction,
    Follower,
    FollowRecord,
    FollowState,
    PeerLimits,
    PeerPolicy,
    PeerView,
)
from federation.peers.parties import Parties
from federation.peers.policies import Policies
from federation.peers.signing_book import SigningBook
from federation.peers.software_book import SoftwareBook
from federation.peers.verdicts import Verdicts
from federation.ports import PeerEvents
from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import Refused

_TOO_MANY = Refused("too_many_followers", "this instance takes no more followers of this host", 429)

LATELY_MS = 120_000
"""What was saved longer ago was read before; a process that hung for longer asks hosts itself."""


class Peers:
    """``software`` knows what hosts run, ``signing`` how they want to be spoken to, ``verdicts`` who is blocked.
    Call ``load`` once before anything else. Hosts are authorities as ``foundation.urls.authority`` spells them.

    ``max_peers`` bounds the hosts kept in memory (listed, judged and following ones are the last to go),
    ``max_followers`` and ``max_followers_per_host`` the actors that may follow us. Of all hosts of a site that nobody
    named here ``hosts_per_site`` times as much is believed as of one, of all sites of a provider ``hosts_per_provider``
    times.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        events: PeerEvents,
        *,
        policies: Iterable[PeerPolicy] = (),
        open_federation: bool = True,
        limits: PeerLimits | None = None,
        own_host: str,
        max_peers: int = 10_000,
        max_followers: int = 20_000,
        max_followers_per_host: int = 200,
        hosts_per_site: int = 4,
        hosts_per_provider: int = 16,
        clock_skew_ms: int = 1_800_000,
        software_ttl_ms: int = 86_400_000,
    ) -> None:
        self._database = database
        self._clock = clock
        self._policies = Policies(policies, open_federation=open_federation, own_host=own_host)
        self._limits = limits or PeerLimits()
        self._follows = Follows(database, clock, events)
        self._follows.changed = self._forget_picture
        self._known = KnownPeers(max_peers, clock_skew_ms, keep=self._must_keep)
        self._picture: tuple[Follower, ...] | None = None
        self.signing = SigningBook(self._policies, self._known, clock)
        self.software = SoftwareBook(self._policies, self._known, clock, software_ttl_ms)
        self.verdicts = Verdicts(self._policies, database, events)
        self.verdicts.changed = self._forget_picture
        self.parties = Parties(self._is_named, self._limits, hosts_per_site, hosts_per_provider)
        self._admission = Admission(
            self._follows, self.parties, most=max_followers, most_of_host=max_followers_per_host
        )

    async def load(self) -> None:
        """Read what earlier runs learnt."""
        async with self._database.read() as tx:
            rows = await store.load_peers(tx, self._known.limit)
        self._known.load(rows)
        self._policies.verdicts = {row.host: row.verdict for row in rows if row.verdict is not None}
        await self._follows.load()

    def moved_here(self, listener: Callable[[], None]) -> None:
        """``listener`` is called after every change of follows and verdicts that this process made."""
        self.verdicts.moved = self._follows.moved = listener

    async def refresh_follows(self) -> None:
        """Take over the follows that another process changed; what is new in them is told as ever."""
        await self._follows.refresh()

    async def refresh_host(self, host: str) -> bool:
        """To be asked before a host is told that we know of no such follow: another process may have just made it.
        True when there was anything to learn."""
        return await self._follows.refresh_host(host)

    # What a host may do

    def policy(self, host: str) -> PeerPolicy:
        """What the configuration says of a host; the defaults when it is not listed."""
        return self._policies.policy(host)

    def policies(self) -> tuple[PeerPolicy, ...]:
        """Every listed host's."""
        return self._policies.listed()

    def may_speak(self, host: str) -> Refused | None:
        """None, or ``blocked`` (403), ``not_listed`` (403), ``own_host`` (401). Two look-ups, no waiting."""
        return self._policies.may_speak(host)

    def may_follow(self, host: str, actor: str, object_: str) -> Refused | None:
        """As ``may_speak``, and ``too_many_followers`` (429) when the bounds are reached, for new followers."""
        refusal = self._policies.may_speak(host)
        if refusal is not None or self._follows.is_follower(actor, object_):
            return refusal
        return self._admission.refusal(host)

    def accepts(self, host: str, kind: str) -> bool:
        """Whether ``viewers`` | ``views`` | ``totals`` | ``announces`` are taken from a host that may speak."""
        return self._policies.accepts(host, kind)

    def quota(self, host: str) -> int:
        """How many viewers per video a host may claim before the rest count as unverified."""
        quota = self._policies.policy(host).max_viewers_per_video
        return self._limits.viewers_per_video if quota is None else quota

    def limits(self, host: str) -> PeerLimits:
        """How much of a host is believed: its own quotas, else the default ones."""
        if not self._policies.is_listed(host):
            return self._limits
        policy, usual = self._policies.policy(host), self._limits
        return PeerLimits(
            self.quota(host),
            _either(policy.max_new_viewers_per_minute, usual.new_viewers_per_minute),
            _either(policy.max_videos, usual.videos),
            _either(policy.max_views_per_hour, usual.views_per_hour),
        )

    # What time it has

    def observe_date(self, host: str, date_ms: int, received_ms: int) -> None:
        """The ``Date`` of an uncached answer of the host, and when it arrived by our clock."""
        self._known.observe_date(host, date_ms, received_ms)

    def observe_signed(self, host: str, signed_ms: int, received_ms: int) -> None:
        """The signed date of a verified request of the host, and when it arrived by our clock. It is alive, too."""
        self._known.observe_signed(host, signed_ms, received_ms)

    def clock_offset_ms(self, host: str) -> int:
        """What to add to the host's instants to get ours; 0 when they agree within two seconds, or nothing is known."""
        return self._known.clock_offset_ms(host)

    # Who follows us

    async def add_follower(
        self,
        tx: Transaction,
        *,
        actor: str,
        host: str,
        inbox: str,
        shared_inbox: str | None,
        follow_id: str,
        object_: str,
    ) -> Apply:
        """A remote actor follows ``object_``, an actor of ours; ask ``may_follow`` first. Call the result after commit.

        It tells ``follower_added`` for a new follower, and for one that follows again under another id.
        """
        remote = RemoteActor(actor, host, inbox, shared_inbox)
        return await self._follows.add_follower(tx, remote, follow_id=follow_id, object_=object_)

    def displaced_by(self, host: str, actor: str, object_: str) -> list[FollowRecord]:
        """Who has to go for a new follower that ``may_follow``: mostly nobody. To be told so (``Reject``), and removed
        with ``displace``."""
        return self._admission.displaced_by(host, actor, object_)

    async def displace(self, tx: Transaction, records: Iterable[FollowRecord]) -> Apply | None:
        """End these follows of us. Call the result after commit."""
        gone = {(record.actor, record.object) for record in records}
        return await self._follows.remove(
            tx, lambda record: record.direction is Direction.IN and (record.actor, record.object) in gone
        )

    async def undone(
        self, tx: Transaction, actor: str, object_: str | None = None, *, follow_id: str | None = None
    ) -> Apply | None:
        """A remote actor takes a follow back, named by what it follows or by its id. Call the result after commit;
        None: no such follow."""

        def named(record: FollowRecord) -> bool:
            if record.direction is not Direction.IN or record.actor != actor:
                return False
            return record.follow_id == follow_id if object_ is None else record.object == object_

        return await self._follows.remove(tx, named)

    async def remove_follower(self, actor: str, object_: str | None = None, *, follow_id: str | None = None) -> bool:
        """As ``undone``, in a transaction of its own; False: no such follow."""
        return await self._now(lambda tx: self.undone(tx, actor, object_, follow_id=follow_id))

    async def remove_actor(self, actor: str) -> bool:
        """A remote actor is gone: so are its follows and ours of it."""
        return await self._now(lambda tx: self._follows.remove(tx, lambda record: record.actor == actor))

    def followers(self) -> tuple[Follower, ...]:
        """The hosts that want to hear us and may, each with one inbox, by name. The same tuple until it changes."""
        if self._picture is None:
            self._picture = tuple(
                follower for follower in self._follows.followers() if self.may_speak(follower.host) is None
            )
        return self._picture

    def is_acquainted(self, actor: str) -> bool:
        """Whether this remote actor follows us, or we follow it. One look-up."""
        return self._follows.has_actor(actor)

    def acquaintances(self) -> frozenset[str]:
        """The actors that ``is_acquainted`` knows; another set whenever they changed."""
        return self._follows.actors()

    def follower_count(self) -> int:
        """Actors that follow us."""
        return self._follows.follower_count()

    def list_followers(self, start: int = 0, count: int = 100) -> tuple[list[FollowRecord], int]:
        """A page of the actors that follow us, newest first, and how many there are."""
        records = self._follows.records(Direction.IN)
        return records[start : start + count], len(records)

    # Whom we follow

    async def add_following(
        self,
        tx: Transaction,
        *,
        actor: str,
        host: str,
        inbox: str,
        shared_inbox: str | None,
        follow_id: str,
        object_: str,
    ) -> Apply:
        """``object_`` (ours) asks to follow a remote actor: pending, unless already accepted. Call after commit."""
        remote = RemoteActor(actor, host, inbox, shared_inbox)
        return await self._follows.add_following(tx, remote, follow_id=follow_id, object_=object_)

    async def answered(self, tx: Transaction, actor: str, *, accepted: bool) -> Apply | None:
        """A remote actor accepted our follow, or refused or ended it. Call the result after commit; None: we asked it
        for none.

        The actor alone decides which follow is meant, as in PeerTube: an answer may name an earlier request's id.
        """
        return await self._follows.answered(tx, actor, FollowState.ACCEPTED if accepted else FollowState.REJECTED)

    async def accepted(self, actor: str) -> bool:
        """As ``answered``, in a transaction of its own; False when we asked it for none."""
        return await self._now(lambda tx: self.answered(tx, actor, accepted=True))

    async def _now(self, work: Callable[[Transaction], Awaitable[Apply | None]]) -> bool:
        apply = await self._database.write(work)
        if apply is not None:
            apply()
        return apply is not None

    async def remove_following(self, tx: Transaction, actor: str) -> Apply:
        """We follow this actor no longer. Call the result after commit."""
        return await self._follows.remove_following(tx, actor)

    def follows(self, host: str) -> bool:
        """Whether an actor of this host accepted our follow."""
        return self._follows.following_state(host) is FollowState.ACCEPTED

    def following(self, state: FollowState | None = None) -> tuple[FollowRecord, ...]:
        """Our follows, newest first."""
        return tuple(self._follows.records(Direction.OUT, state))

    def list_following(self, start: int = 0, count: int = 100) -> tuple[list[FollowRecord], int]:
        """A page of our follows, newest first, and how many there are."""
        records = self._follows.records(Direction.OUT)
        return records[start : start + count], len(records)

    # What was taken, and keeping house

    async def purge_peers(self, before_ms: int) -> int:
        """Forget hosts not heard of since an instant, unless an administrator judged them; how many."""
        return await self._database.write(lambda tx: store.purge_peers(tx, before_ms))

    async def save(self) -> None:
        """Keep what was learnt of hosts since the last time; losing it costs a NodeInfo request each."""
        rows = self._known.take_dirty()
        if rows:
            await self._database.write(lambda tx: store.save_peers(tx, rows))

    async def share(self) -> None:
        """``save``, and take over what other processes saved lately; to be called every few seconds where there are
        any. Raises StorageUnavailable."""
        await self.save()
        async with self._database.read() as tx:
            rows = await store.load_heard(tx, self._clock.now_ms() - LATELY_MS, self._known.limit)
        self._known.take_over(rows)

    def list_peers(self) -> list[PeerView]:
        """Everything known of every listed, judged or known host, by name."""
        hosts = set(self._known.hosts()) | {policy.host for policy in self._policies.listed()}
        hosts |= {record.host for record in (*self._follows.records(Direction.IN), *self.following())}
        hosts |= self._policies.verdicts.keys()
        return [self.describe(host) for host in sorted(hosts)]

    def describe(self, host: str) -> PeerView:
        """Everything known of one host."""
        verdict, decided_by = self._policies.verdict(host) or (None, None)
        return PeerView(
            host=host,
            kind=self.software.kind(host),
            software=self.software.of(host),
            clock_offset_ms=self.clock_offset_ms(host),
            last_seen_ms=self._known.last_seen_ms(host),
            blocked=self._policies.is_blocked(host),
            verdict=verdict,
            decided_by=decided_by,
            listed=self._policies.is_listed(host),
            follower=self._follows.followers_of(host) > 0,
            following=self._follows.following_state(host),
        )

    def _forget_picture(self) -> None:
        self._picture = None
        self._admission.forget()

    def _is_named(self, host: str) -> bool:
        return self._policies.is_named(host) or self._follows.following_state(host) is not None

    def _must_keep(self, host: str) -> bool:
        return (
            self._policies.is_listed(host)
            or self._follows.followers_of(host) > 0
            or self._follows.following_state(host) is not None
        )


def _either(own: int | None, usual: int) -> int:
    return usual if own is None else own
