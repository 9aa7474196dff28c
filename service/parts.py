"""The towers and the door in, each built from what stands below it. Nothing starts here; ``service.app`` starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.actors import ActorClient
from federation.documents import InstanceIdentity
from federation.keys import KeyCache, KeyPolicy
from federation.own_keys import KeyRing, OwnKeys
from federation.peers import PeerLimits, PeerPolicy, Peers, SignatureMode, Switch
from federation.peers.activity import PeerActivity
from federation.ports import PeerEvents
from federation.signatures.verifier import Profile
from federation.signing import Signing
from foundation.clock import Clock
from foundation.database import Database
from foundation.http import HttpClient
from foundation.metrics import Metrics
from foundation.ratelimit import WindowLimiter
from foundation.shedding import Shedder
from foundation.spool import Spool
from foundation.tokens import TokenBook, TokenGrant
from outbox.probe import AGAIN_AT_ONCE, FIRST_AT_ONCE
from service import VERSION
from service.config import Config, Peer, Rate, Token, WatchTime
from service.directory import with_keys
from service.geo import Geo
from service.late import Late
from service.rules import report_rules
from service.stores import LiveStores
from service.telemetry import TelemetryHouse
from service.together import Together
from service.websites import WebSites
from views.catalog import Catalog
from views.channel_totals import Channels
from views.counting import CountingRules, ViewCounter
from views.ports import Announcer, CountedViews, Notifier, NullNotifier, VideoImporter
from views.replay import Replays
from views.resume import ResumePositions
from views.routes.services import ApiSettings, Command, ViewsApi
from views.sections import Arithmetic, Rules
from views.sessions import Identity, ViewerTokens, load_or_create_secret
from views.sharing import Sharing
from views.stats.cleaner import Cleaner
from views.stats.moving import StayMover
from views.stats.presence import PresentViewers
from views.stats.queries import StayStatistics
from views.stats.recorder import Recorder
from views.telemetry.names import SessionNames
from views.telemetry.service import TelemetryService
from views.telling import Telling
from views.viewers import Lifetimes, Viewers
from views.watching import Watching, WatchingRules

KEYS_SETTLE_MS = 15_000
"""Until every process of the instance has seen a new key: each looks every five seconds."""
VIDEO_NEWS = "video"
"""Topic of changed videos, by number."""
SECRET_FILE = "viewer-secret"  # noqa: S105
USER_AGENT = "Fediviews/{version} (+{url})"
MAX_LIMITED_CLIENTS = 100_000


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on."""

    config: Config
    clock: Clock
    metrics: Metrics
    database: Database
    spool: Spool
    live: LiveStores
    together: Together
    shedder: Shedder


@dataclass(frozen=True, slots=True)
class FederationTower:
    """``asking`` fetches documents, ``delivering`` posts: a host that hangs for one never holds up the other."""

    identity: InstanceIdentity
    ring: KeyRing
    signing: Signing
    asking: HttpClient
    delivering: HttpClient
    actors: ActorClient
    peers: Peers
    activity: PeerActivity
    remote_keys: KeyCache
    profile: Profile


@dataclass(frozen=True, slots=True)
class ViewsTower:
    catalog: Catalog
    viewers: Viewers
    counter: ViewCounter
    watching: Watching
    identity: Identity
    viewer_tokens: ViewerTokens
    channels: Channels
    resume: ResumePositions
    replays: Replays
    sharing: Sharing
    geo: Geo
    recorder: Recorder
    statistics: StayStatistics
    cleaner: Cleaner
    websites: WebSites
    telemetry: TelemetryService
    telemetry_house: TelemetryHouse
    names: SessionNames


def instance_identity(config: Config, keys: OwnKeys) -> InstanceIdentity:
    identity = InstanceIdentity(
        base_url=str(config.instance.url),
        authority=config.instance.url.authority,
        public_key_pem=keys.current.published,
        actor_name=config.instance.actor,
        owner_name=config.instance.owner,
        display_name=config.instance.name,
    )
    return with_keys(identity, keys)


def policy_of(peer: Peer) -> PeerPolicy:
    return PeerPolicy(
        host=peer.host,
        follow=peer.follow,
        accept=frozenset(kind.value for kind in peer.accept),
        totals=Switch(peer.totals.value),
        batch=Switch(peer.batch.value),
        blocked=peer.block,
        signatures=SignatureMode(peer.signatures.value),
        max_viewers_per_video=peer.max_viewers_per_video,
        max_new_viewers_per_minute=peer.max_new_viewers_per_minute,
        max_videos=peer.max_videos,
        max_views_per_hour=peer.max_views_per_hour,
    )


def grants_of(tokens: tuple[Token, ...]) -> list[TokenGrant]:
    """The bearer tokens of the configuration; those with a public key alone ask by signatures."""
    return [
        TokenGrant(token.name, token.role, token.value.reveal(), frozenset(token.channels))
        for token in tokens
        if token.value is not None
    ]


def federation_tower(ground: Ground, events: PeerEvents) -> FederationTower:
    config, clock, metrics = ground.config, ground.clock, ground.metrics
    federation = config.federation
    ring = KeyRing(
        config.storage.directory,
        clock,
        with_ed25519=federation.ed25519,
        overlap_ms=federation.key_overlap_ms,
        settle_ms=0 if ground.together.store is None else KEYS_SETTLE_MS,
    )
    identity = instance_identity(config, ring.keys)

    def client(name: str, connections: int = 100) -> HttpClient:
        return HttpClient(
            clock,
            metrics,
            allow_private_addresses=federation.allow_private_addresses,
            allow_http=federation.allow_http,
            user_agent=USER_AGENT.format(version=VERSION, url=identity.base_url),
            connections=connections,
            name=name,
        )

    # 96 for keys, 100 for documents and collections, the rest for NodeInfo.
    asking = client("fetch", 196 + FIRST_AT_ONCE + AGAIN_AT_ONCE)
    # One each for whoever is served, and some for Rejects, which do not wait in line.
    delivering = client("delivery", federation.deliveries_at_once + federation.probes_at_once + 20)
    peers = Peers(
        ground.database,
        clock,
        events,
        policies=[policy_of(peer) for peer in config.peers],
        open_federation=federation.open,
        limits=PeerLimits(
            federation.max_viewers_per_video,
            federation.max_new_viewers_per_minute,
            federation.max_videos,
            federation.max_views_per_hour,
        ),
        own_host=identity.authority,
        max_peers=federation.max_peers,
        clock_skew_ms=federation.clock_skew_ms,
        software_ttl_ms=federation.software_ttl_ms,
    )
    signing = Signing(ring, peers.signing, clock, metrics, actor=identity.actor_url)
    actors = ActorClient(asking, signing=signing)
    own = frozenset({identity.authority})
    rate = federation.key_fetches_per_host
    policy = KeyPolicy(
        own_authorities=own,
        allow_http=federation.allow_http,
        minimum_key_bits=federation.minimum_key_bits,
        max_keys=federation.key_cache_size,
        max_negative=federation.key_cache_size,
        ttl_ms=federation.key_ttl_ms,
        gone_ttl_ms=federation.negative_key_ttl_ms,
        negative_ttl_ms=min(60_000, federation.negative_key_ttl_ms),
        fetches_per_minute=1_000_000 if rate is None else max(1, rate.limit * 60_000 // rate.window_ms),
    )
    remote_keys = KeyCache(clock, actors, metrics, policy, may_fetch=peers.may_speak, is_known=peers.is_acquainted)
    profile = Profile(own, federation.clock_skew_ms, federation.minimum_key_bits, str(config.instance.url))
    activity = PeerActivity(ground.database, clock, metrics, flag_at=federation.unusual_at)
    return FederationTower(identity, ring, signing, asking, delivering, actors, peers, activity, remote_keys, profile)


def views_tower(
    ground: Ground,
    announcer: Announcer,
    *,
    identity: InstanceIdentity,
    quota_of: Callable[[str], int],
    notifier: Notifier | None = None,
    counted: CountedViews | None = None,
) -> ViewsTower:
    """``notifier`` is told what happens; ``counted`` of views, in their transaction;
    both are built before there is anything to tell of."""
    notifier = notifier or NullNotifier()
    config, clock, metrics = ground.config, ground.clock, ground.metrics
    views = config.views
    secret = load_or_create_secret(config.storage.directory / SECRET_FILE)
    catalog = Catalog(
        ground.database,
        announcer,
        clock,
        identity.video_url,
        identity.authority,
        judge_channel=identity.channel_name_problem,
        moved=_teller(ground.together),
    )
    counters = ground.live.counters
    names = SessionNames(secret)
    late_viewers: Late[Viewers] = Late()
    telemetry_house = TelemetryHouse(
        config,
        clock=clock,
        metrics=metrics,
        database=ground.database,
        live=ground.live,
        catalog=catalog,
        names=names,
        notifier=notifier,
        numbers=lambda: late_viewers.value,
    )
    viewers = Viewers(
        counters,
        announcer,
        catalog,
        Telling(secret, metrics=metrics),
        clock,
        quota_of=quota_of,
        lifetimes=Lifetimes(views.viewer_lifetime_ms, config.federation.max_expires_ms),
        metrics=metrics,
        claims=ground.together.counters,
        notifier=notifier,
        touched=telemetry_house.touched if config.telemetry.enabled else None,
    )
    late_viewers.value = viewers
    counter = ViewCounter(
        ground.database,
        catalog,
        counters,
        announcer,
        clock,
        metrics,
        CountingRules(views.view_expiration_ms, config.federation.announce_views_within_ms),
        told=counted,
        spool=ground.spool,
    )
    arithmetic = Arithmetic.STRICT if views.watch_time is WatchTime.STRICT else Arithmetic.PEERTUBE
    rules = WatchingRules(
        sections=Rules(arithmetic, views.playback_rate, views.watch_time_slack_ms),
        count_view_after_ms=views.count_view_after_ms,
        view_expiration_ms=views.view_expiration_ms,
        progress_lifetime_ms=views.stats_lifetime_ms,
        still_after_ms=views.still_after_ms,
    )
    agent = USER_AGENT.format(version=VERSION, url=identity.base_url)
    geo = Geo(config, clock, metrics, agent)
    progress = ground.live.progress
    present = PresentViewers(progress, clock)
    recorder = Recorder(
        ground.database,
        progress,
        present,
        announcer,
        clock,
        metrics,
        secret=secret,
        stay_url=identity.watch_action_url,
        spool=ground.spool,
    )
    watching = Watching(
        viewers, counter, progress, clock, metrics, rules, locate=geo.locate, closer=recorder, feed=telemetry_house.feed
    )
    mover = StayMover(ground.database, progress, recorder)
    sessions = Identity(secret, clock, views.trust_viewer_session_id)
    return ViewsTower(
        catalog=catalog,
        viewers=viewers,
        counter=counter,
        watching=watching,
        identity=sessions,
        viewer_tokens=ViewerTokens(secret, clock),
        channels=Channels(ground.database),
        resume=ResumePositions(ground.database, secret, clock, metrics, max_age_ms=views.resume_max_age_ms),
        replays=Replays(ground.database, catalog, announcer, clock, mover.move),
        sharing=Sharing(clock, metrics),
        geo=geo,
        recorder=recorder,
        statistics=StayStatistics(ground.database, recorder, present, catalog),
        cleaner=Cleaner(ground.database, clock),
        telemetry=telemetry_house.service,
        telemetry_house=telemetry_house,
        names=names,
        websites=WebSites(config, clock, metrics, ground.database, sessions, geo, agent),
    )


def _teller(together: Together) -> Callable[[int], None] | None:
    """Tells other processes of a changed video; None where there are none."""
    return None if together.store is None else lambda number: together.news.tell(VIDEO_NEWS, str(number))


def rate_limiter(clock: Clock, rate: Rate | None) -> WindowLimiter[str] | None:
    """A limiter for a configured rate; None for ``never``."""
    return None if rate is None else WindowLimiter(clock, rate.limit, rate.window_ms, MAX_LIMITED_CLIENTS)


def views_api(
    ground: Ground, tower: ViewsTower, tokens: TokenBook, importer: VideoImporter, commands: dict[str, Command]
) -> ViewsApi:
    config = ground.config
    rate = config.views.rate_limit
    limiter = rate_limiter(ground.clock, rate)
    settings = ApiSettings(
        instance_name=config.instance.name,
        version=VERSION,
        account=config.instance.owner,
        watching_anonymous_ms=config.views.watching_interval.anonymous_ms,
        watching_users_ms=config.views.watching_interval.users_ms,
        viewer_token_ttl_ms=config.views.token_ttl_ms,
        trusted_proxies=config.listen.trusted_proxies,
        places_at_least=config.views.places_at_least,
    )
    return ViewsApi(
        clock=ground.clock,
        metrics=ground.metrics,
        catalog=tower.catalog,
        viewers=tower.viewers,
        counter=tower.counter,
        watching=tower.watching,
        identity=tower.identity,
        tokens=tokens,
        viewer_tokens=tower.viewer_tokens,
        importer=importer,
        settings=settings,
        limiter=limiter,
        commands=commands,
        statistics=tower.statistics,
        channels=tower.channels,
        resume=tower.resume,
        replays=tower.replays,
        sharing=tower.sharing,
        geo_attribution=tower.geo.attribution,
        place_headers=tower.geo.headers,
        telemetry=tower.telemetry,
        playback=tower.telemetry_house.desk,
        feed=tower.telemetry_house.feed,
        shedder=ground.shedder,
        rules=report_rules(ground.config.views, ground.clock, ground.metrics),
        pages=tower.websites.pages,
    )
