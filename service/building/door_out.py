"""The door out: what is told to whom, and how deliveries stand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from outbox.announcer import OutboxAnnouncer
from outbox.batching import BatchMemory
from outbox.cadence import TotalsPolicy
from outbox.deliverer import Deliverer
from outbox.discovery import Discovery
from outbox.durable_lane import DurableLane
from outbox.elsewhere import Elsewhere
from outbox.events import OutboxEvents
from outbox.following import Following
from outbox.health_book import HealthBook
from outbox.inboxes import InboxDirectory
from outbox.lag import DeliveryLag
from outbox.lanes import Courier
from outbox.ledger import Ledger
from outbox.log import ActivityLog
from outbox.members import Collections
from outbox.posting import Poster
from outbox.probe import SoftwareProbe
from outbox.queues import Queues
from outbox.report import DeliveryReports
from outbox.retry import RetryPolicy
from outbox.round import Lanes
from outbox.routing import PeerRoutes
from outbox.serving import DeliveryRules
from outbox.soft_lanes import TellLane, TotalsLane
from outbox.totals import Board
from service.building.federation_tower import FederationTower
from service.building.ground import Ground
from service.building.late import Late
from service.building.views_tower import ViewsTower
from views.model import Video
from views.ports import Notifier, Tell
from views.shown import Shown


@dataclass(frozen=True, slots=True)
class Outlet:
    """The door out, before anything is said through it."""

    log: ActivityLog
    board: Board
    routes: PeerRoutes
    poster: Poster
    health: HealthBook
    reports: DeliveryReports
    queues: Queues
    elsewhere: Elsewhere
    probe: SoftwareProbe
    deliverer: Deliverer
    announcer: OutboxAnnouncer
    lag: DeliveryLag


@dataclass(frozen=True, slots=True)
class Outbox:
    """The door out, once there is a catalog to speak about."""

    events: OutboxEvents
    following: Following
    collections: Collections


def outlet(ground: Ground, tower: FederationTower, views: Late[ViewsTower], notifier: Notifier) -> Outlet:
    """``views`` is built after its announcer and is there when the first delivery asks for it. ``notifier`` hears of
    peers that go down and come back."""
    config, clock, metrics = ground.config, ground.clock, ground.metrics
    federation, identity, peers = config.federation, tower.identity, tower.peers
    retry = RetryPolicy(
        first_ms=federation.retry_first_ms, max_ms=federation.retry_max_ms, give_up_ms=federation.retry_for_ms
    )
    jitter = random.random

    async def numbers(videos: Sequence[Video]) -> Sequence[Shown]:
        return await views.value.viewers.shown_many(videos)

    async def told(tell: Tell, acked_ms: int) -> None:
        await views.value.viewers.told(tell, acked_ms)

    async def video_of(number: int) -> Video | None:
        return await views.value.catalog.by_number(number)

    log, routes = ActivityLog(ground.database), PeerRoutes(peers)
    door = ground.together.door_out(TotalsPolicy(config.views.viewer_lifetime_ms), video_of)
    board, slots = door.board, door.tells
    ledger, batches = Ledger(clock, federation.max_peers), BatchMemory(federation.max_peers)
    health = HealthBook(
        database=ground.database,
        ledger=ledger,
        batches=batches,
        clock=clock,
        serves=None if ground.together.store is None else ground.together.leases.holds,
        max_hosts=federation.max_peers,
    )
    poster = Poster(
        http=tower.delivering,
        signing=tower.signing,
        clock=clock,
        metrics=metrics,
        observe_date=peers.observe_date,
        threads=federation.signing_threads,
        posted=ledger.posted,
    )
    courier, directory = Courier(poster, clock, metrics, batches=batches), InboxDirectory(tower.actors, clock)
    actor, lag = identity.actor_url, DeliveryLag(clock, metrics)
    deliverer = Deliverer(
        log=log,
        slots=slots,
        board=board,
        book=routes,
        lanes=Lanes(
            DurableLane(
                log=log,
                courier=courier,
                directory=directory,
                policy=retry,
                clock=clock,
                random=jitter,
                delivered=lag.delivered,
            ),
            TellLane(
                actor=actor,
                slots=slots,
                courier=courier,
                directory=directory,
                told=told,
                clock=clock,
                written=ground.live.written,
            ),
            TotalsLane(actor=actor, board=board, courier=courier, numbers=numbers, video_of=video_of, clock=clock),
        ),
        numbers=numbers,
        rules=DeliveryRules(
            announce_within_ms=federation.announce_within_ms,
            concurrency=federation.deliveries_at_once,
            troubled=federation.probes_at_once,
            retry=retry,
        ),
        clock=clock,
        metrics=metrics,
        random=jitter,
        notifier=notifier,
        health=health,
        leases=ground.together.leases,
        moved=door.moved,
    )
    health.live = deliverer.standing
    queues = Queues(ground.database)
    reports = DeliveryReports(health=health, queues=queues, routes=routes, board=board, slots=slots, clock=clock)
    elsewhere = Elsewhere(
        deliverer=deliverer, leases=ground.together.leases, news=ground.together.news, troubled=health.in_trouble
    )
    probe = SoftwareProbe(http=tower.asking, book=peers.software, clock=clock, metrics=metrics, learned=deliverer.wake)
    announcer = OutboxAnnouncer(
        identity=identity, log=log, deliverer=deliverer, peers=peers, ask_software=probe.ask, clock=clock
    )
    return Outlet(log, board, routes, poster, health, reports, queues, elsewhere, probe, deliverer, announcer, lag)


def outbox(ground: Ground, tower: FederationTower, views: ViewsTower, out: Outlet) -> Outbox:
    config, clock = ground.config, ground.clock
    schemes = ("https", "http") if config.federation.allow_http else ("https",)
    events = OutboxEvents(
        identity=tower.identity,
        log=out.log,
        deliverer=out.deliverer,
        elsewhere=out.elsewhere,
        book=out.routes,
        probe=out.probe,
        database=ground.database,
        clock=clock,
        leases=ground.together.leases,
    )
    following = Following(
        identity=tower.identity,
        peers=tower.peers,
        discovery=Discovery(tower.asking, tower.actors, schemes),
        log=out.log,
        database=ground.database,
        clock=clock,
        committed=out.deliverer.committed,
        ask_software=out.probe.ask,
        post=out.poster.post,
        refollow_ms=config.federation.refollow_interval_ms,
        leases=ground.together.leases,
    )
    collections = Collections(
        identity=tower.identity,
        catalog=views.catalog,
        peers=tower.peers,
        board=out.board,
        numbers=views.viewers.shown_many,
        video_of=views.catalog.by_number,
        clock=clock,
    )
    return Outbox(events, following, collections)
