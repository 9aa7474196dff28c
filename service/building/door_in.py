"""The door in: what other servers send us, verified, judged and handed to the towers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.ports import PeerEvents
from foundation.web import ClientAddresses
from inbox.follows import FollowHandler, OwnActors
from inbox.handlers import Handlers
from inbox.importer import Importer
from inbox.peer_quotas import PeerQuotas
from inbox.pipeline import Limits, Pipeline
from inbox.quarantine import Quarantine
from inbox.quotas import Quotas
from inbox.replay import QuarantineReplay
from inbox.shedding import InboxShedding
from inbox.unknown import ImportPolicy, UnknownVideos
from inbox.viewing import ViewHandler
from inbox.watching import Plausibility, WatchActionHandler
from outbox.following import Following
from service.building.directory import ServiceDirectory
from service.building.federation_tower import FederationTower
from service.building.ground import Ground
from service.building.rate_limits import host_limiter
from service.building.views_tower import ViewsTower


@dataclass(frozen=True, slots=True)
class Entrance:
    """The door in."""

    importer: Importer
    quarantine: Quarantine
    pipeline: Pipeline
    replay: QuarantineReplay


def entrance(
    ground: Ground,
    tower: FederationTower,
    views: ViewsTower,
    *,
    events: PeerEvents,
    following: Following,
    directory: ServiceDirectory,
    committed: Callable[[], None],
) -> Entrance:
    config, clock, metrics = ground.config, ground.clock, ground.metrics
    federation, listen = config.federation, config.listen
    importer = Importer(
        tower.actors,
        views.catalog,
        clock,
        metrics,
        own_host=tower.identity.authority,
        may_fetch=tower.peers.may_speak,
    )
    parties = tower.peers.parties
    quarantine = Quarantine(
        federation.quarantine_size, clock, metrics, federation.quarantine_memory_bytes, party_of=parties.of
    )
    most_videos = max([federation.max_videos, *(peer.max_videos or 0 for peer in config.peers)])
    handlers = Handlers(
        views=ViewHandler(
            peers=tower.peers,
            catalog=views.catalog,
            viewers=views.viewers,
            counter=views.counter,
            clock=clock,
            max_expires_ms=federation.max_expires_ms,
            clock_skew_ms=federation.clock_skew_ms,
            unknown=UnknownVideos(ImportPolicy(federation.import_unknown_videos.value), tower.peers, importer, clock),
            quotas=PeerQuotas(
                tower.peers.limits,
                clock,
                metrics,
                most_videos=max(1, most_videos),
                videos_within_ms=federation.max_expires_ms,
                parties=parties,
            ),
            activity=tower.activity,
        ),
        peers=tower.peers,
        catalog=views.catalog,
        importer=importer,
        keys=tower.remote_keys,
        follows=FollowHandler(
            peers=tower.peers,
            actors=tower.actors,
            keys=tower.remote_keys,
            answers=following,
            own=OwnActors(directory.exists),
            database=ground.database,
            clock=clock,
            committed=committed,
            spool=ground.spool,
        ),
        watched=WatchActionHandler(
            peers=tower.peers,
            catalog=views.catalog,
            stays=views.recorder,
            clock=clock,
            rules=Plausibility(federation.clock_skew_ms, config.views.playback_rate),
            limiter=host_limiter(clock, federation.peer_stays, parties),
        ),
    )
    pipeline = Pipeline(
        profile=tower.profile,
        keys=tower.remote_keys,
        peers=tower.peers,
        handle=handlers,
        quotas=Quotas(
            clock,
            federation.peer_requests.limit,
            federation.peer_requests.window_ms,
            parties.circles,
        ),
        quarantine=quarantine,
        limits=Limits(
            max_body_bytes=listen.max_body_bytes,
            body_timeout_ms=listen.body_timeout_ms,
            max_items=federation.batch_max_items,
            max_count=federation.max_count,
        ),
        address_of=ClientAddresses(listen.trusted_proxies),
        spoke=events.peer_spoke,
        clock=clock,
        metrics=metrics,
        shedding=InboxShedding(ground.shedder, views.catalog, views.viewers),
    )
    replay = QuarantineReplay(quarantine, pipeline.judge_again, tower.peers.may_speak)
    return Entrance(importer, quarantine, pipeline, replay)
