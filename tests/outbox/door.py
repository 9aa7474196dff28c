"""The whole door out, put together over a house of real parts."""

from __future__ import annotations

import random as system_random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from support.one_key import OneKey

from federation.actors import ActorClient
from federation.documents import InstanceIdentity
from federation.peers import Peers
from federation.ports import NullPeerEvents, PeerEvents
from foundation.clock import Clock
from foundation.database import Database
from foundation.http import HttpClient
from foundation.metrics import Metrics
from outbox.announcer import OutboxAnnouncer
from outbox.batching import BatchMemory
from outbox.cadence import TotalsPolicy
from outbox.deliverer import Deliverer
from outbox.discovery import Discovery
from outbox.durable_lane import DurableLane
from outbox.events import OutboxEvents
from outbox.following import Following
from outbox.health_book import HealthBook
from outbox.inboxes import InboxDirectory
from outbox.lanes import Courier
from outbox.ledger import Ledger
from outbox.log import ActivityLog
from outbox.members import Collections, VideoPages
from outbox.posting import Poster
from outbox.probe import SoftwareProbe
from outbox.queues import Queues
from outbox.report import DeliveryReports
from outbox.round import Lanes
from outbox.routing import PeerRoutes
from outbox.serving import DeliveryRules
from outbox.soft_lanes import Numbers, TellLane, Told, TotalsLane, VideoOf
from outbox.tells import TellSlots
from outbox.totals import TotalsBoard


class PeerNews:
    """Implements `federation.ports.PeerEvents` before there is anybody to hear it: the registry is built first.

    ``also`` hears everything too (views forgets the viewers of a blocked host).
    """

    def __init__(self, also: PeerEvents | None = None) -> None:
        self.target: PeerEvents = NullPeerEvents()
        self.also: PeerEvents = also or NullPeerEvents()

    def peer_spoke(self, host: str) -> None:
        self.target.peer_spoke(host)
        self.also.peer_spoke(host)

    def follower_added(self, host: str) -> None:
        self.target.follower_added(host)
        self.also.follower_added(host)

    def follower_removed(self, host: str) -> None:
        self.target.follower_removed(host)
        self.also.follower_removed(host)

    def following_accepted(self, host: str) -> None:
        self.target.following_accepted(host)
        self.also.following_accepted(host)

    def peer_blocked(self, host: str) -> None:
        self.target.peer_blocked(host)
        self.also.peer_blocked(host)


@dataclass(frozen=True, slots=True)
class Outside:
    """What the door stands on. ``news`` is what ``peers`` was built with; ``schemes`` how bare hosts are reached."""

    identity: InstanceIdentity
    private_key: RSAPrivateKey
    http: HttpClient
    actors: ActorClient
    peers: Peers
    news: PeerNews
    database: Database
    clock: Clock
    metrics: Metrics
    schemes: Sequence[str] = ("https",)


@dataclass(frozen=True, slots=True)
class Inside:
    """What the door asks of views; bound late, since views announces through the door: `Viewers.shown_many`,
    `Viewers.told`, `Catalog.by_number`, and the catalog's pages."""

    numbers: Numbers
    told: Told
    video_of: VideoOf
    pages: VideoPages


@dataclass(frozen=True, slots=True)
class DoorRules:
    """``refollow_ms``: how often follows are sent again. ``viewer_lifetime_ms``: ours."""

    viewer_lifetime_ms: int = 120_000
    delivery: DeliveryRules = field(default_factory=DeliveryRules)
    refollow_ms: int = 43_200_000


class Door:
    """Build it, join ``announcer`` to views and the rest to the routes, then ``start``; ``stop`` takes < 2 s."""

    def __init__(
        self,
        outside: Outside,
        inside: Inside,
        rules: DoorRules,
        *,
        random: Callable[[], float] = system_random.random,
    ) -> None:
        one, clock, database = outside, outside.clock, outside.database
        self._clock = clock
        self._give_up_ms = rules.delivery.retry.give_up_ms
        self.log = ActivityLog(database)
        self.routes = PeerRoutes(one.peers)
        self.board = TotalsBoard(TotalsPolicy(rules.viewer_lifetime_ms))
        self.inboxes = InboxDirectory(one.actors, clock)
        self.ledger, self.batches = Ledger(clock), BatchMemory()
        self.health = HealthBook(database=database, ledger=self.ledger, batches=self.batches, clock=clock)
        self._poster = Poster(
            http=one.http,
            signing=OneKey(one.private_key),
            clock=clock,
            metrics=one.metrics,
            observe_date=one.peers.observe_date,
            posted=self.ledger.posted,
        )
        slots = TellSlots()
        self.deliverer = Deliverer(
            log=self.log,
            slots=slots,
            board=self.board,
            book=self.routes,
            lanes=self._lanes(outside, inside, rules, slots, random),
            numbers=inside.numbers,
            rules=rules.delivery,
            clock=clock,
            metrics=one.metrics,
            random=random,
            health=self.health,
        )
        self.health.live = self.deliverer.standing
        self.queues = Queues(database)
        self.reports = DeliveryReports(
            health=self.health, queues=self.queues, routes=self.routes, board=self.board, slots=slots, clock=clock
        )
        self.probe = SoftwareProbe(
            http=one.http, book=one.peers.software, clock=clock, metrics=one.metrics, learned=self.deliverer.wake
        )
        self.announcer = OutboxAnnouncer(
            identity=one.identity,
            log=self.log,
            deliverer=self.deliverer,
            peers=one.peers,
            ask_software=self.probe.ask,
            clock=clock,
        )
        self.events = OutboxEvents(
            identity=one.identity,
            log=self.log,
            deliverer=self.deliverer,
            book=self.routes,
            probe=self.probe,
            database=database,
            clock=clock,
        )
        one.news.target = self.events
        self.following = Following(
            identity=one.identity,
            peers=one.peers,
            discovery=Discovery(one.http, one.actors, one.schemes),
            log=self.log,
            database=database,
            clock=clock,
            committed=self.deliverer.committed,
            ask_software=self.probe.ask,
            post=self._poster.post,
            refollow_ms=rules.refollow_ms,
        )
        self.collections = Collections(
            identity=one.identity,
            catalog=inside.pages,
            peers=one.peers,
            board=self.board,
            numbers=inside.numbers,
            video_of=inside.video_of,
            clock=clock,
        )

    def _lanes(
        self, outside: Outside, inside: Inside, rules: DoorRules, slots: TellSlots, random: Callable[[], float]
    ) -> Lanes:
        actor, clock = outside.identity.actor_url, outside.clock
        courier = Courier(self._poster, clock, outside.metrics, batches=self.batches)
        return Lanes(
            DurableLane(
                log=self.log,
                courier=courier,
                directory=self.inboxes,
                policy=rules.delivery.retry,
                clock=clock,
                random=random,
            ),
            TellLane(actor=actor, slots=slots, courier=courier, directory=self.inboxes, told=inside.told, clock=clock),
            TotalsLane(
                actor=actor,
                board=self.board,
                courier=courier,
                numbers=inside.numbers,
                video_of=inside.video_of,
                clock=clock,
            ),
        )

    async def start(self) -> None:
        """After ``Peers.load``. Raises StorageUnavailable."""
        await self.deliverer.start()
        await self.probe.start()
        await self.events.start()
        await self.following.start()

    async def stop(self) -> None:
        """In reverse. Nothing durable is lost: what was not acknowledged is sent again after the next start."""
        await self.following.stop()
        await self.events.stop()
        await self.probe.stop()
        await self.deliverer.stop()
        self._poster.close()
        await self.health.save()

    async def housekeeping(self) -> None:
        """To be called every few minutes: drop what everybody has, ask followers for their software where due."""
        self.events.ask_followers()
        await self.events.purge(self._clock.now_ms() - self._give_up_ms)
