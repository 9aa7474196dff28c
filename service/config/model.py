"""What ``config.yaml`` says, as frozen structs; every default is here and nowhere else.

A field is the key of the same name. Exceptions: a duration's field ends in ``_ms`` and a size's in ``_bytes`` (the key
does not), and a ``Key`` marker gives another name. ``config.yaml`` documents each key for administrators.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from service.config.entries import ConfiguredVideo, LivekitKey, LivekitRoom, Peer, Site, Token, Webhook
from service.config.spec import (
    Decimal,
    Duration,
    Parsed,
    Table,
    Text,
    Whole,
)
from service.config.storage import Database, Live, parse_database, parse_live
from service.config.values import (
    BaseUrl,
    FileOrUrl,
    Network,
    Rate,
    parse_file_or_url,
    parse_http_url,
    parse_name_server,
    parse_network,
    parse_path,
    parse_rate,
    parse_size,
)
from service.config.words import (
    AlsoCount,
    HeaderName,
    ImportUnknown,
    Limit,
    LogFormat,
    LogLevel,
    Name,
    Origin,
    Resolver,
    WatchTime,
)

_LOOPBACK = BaseUrl("http", "127.0.0.1:8080", "127.0.0.1", 8080)
_SQLITE = Database()
_MEMORY = Live()
_API_RATE = Rate(50, 10_000)
_KEY_FETCH_RATE = Rate(30, 60_000)
_PEER_RATE = Rate(500, 10_000)
_STAYS_RATE = Rate(20_000, 3_600_000)


@dataclass(frozen=True, slots=True)
class Instance:
    """Who we are. ``url`` is where every id of ours begins; ``actor`` the instance actor's user name,
    ``owner`` that of the one account which all channels belong to."""

    url: Origin = _LOOPBACK
    name: Annotated[str, Text(longest=120)] = "Fediviews"
    actor: Name = "peertube"
    owner: Name = "owner"


@dataclass(frozen=True, slots=True)
class Listen:
    """The socket we serve on. ``port`` 0 takes a free one. ``max_body_bytes`` and ``body_timeout_ms`` bound an inbox
    request; ``idle_timeout_ms`` is how long a silent keep-alive connection stays open. ``overload_lag_ms``: lag of the
    event loop from which on load is turned away (None: never). ``max_streams`` and ``max_sockets``: open event
    streams and Socket.IO connections of one process; ``max_listeners_per_address``: of each of them, of one address."""

    host: Annotated[str, Text(longest=253, pattern=r"[A-Za-z0-9.:_-]+", shape="an address or host name")] = "127.0.0.1"
    port: Annotated[int, Whole(0, 65535)] = 8080
    trusted_proxies: tuple[Annotated[Network, Parsed(parse_network, "a network")], ...] = (
        ip_network("127.0.0.1/32"),
        ip_network("::1/128"),
    )
    idle_timeout_ms: Annotated[int, Duration("1s", "1d")] = 600_000
    max_body_bytes: Annotated[int, Parsed(parse_size, "a size", low=10_000, high=50_000_000)] = 500_000
    body_timeout_ms: Annotated[int, Duration("100ms", "10m")] = 15_000
    shutdown_grace_ms: Annotated[int, Duration("0s", "1m")] = 3_000
    max_connections: Annotated[int, Whole(1, 1_000_000)] = 10_000
    max_connections_per_address: Annotated[int, Whole(1, 1_000_000)] = 500
    header_timeout_ms: Annotated[int, Duration("1s", "10m")] = 30_000
    max_header_bytes: Annotated[int, Parsed(parse_size, "a size", low=2_000, high=64_000)] = 8_190
    overload_lag_ms: Annotated[int | None, Duration("10ms", "1m", never=True)] = 300
    max_streams: Annotated[int, Whole(0, 1_000_000)] = 5_000
    max_sockets: Annotated[int, Whole(0, 1_000_000)] = 5_000
    max_listeners_per_address: Annotated[int, Whole(1, 1_000_000)] = 50


@dataclass(frozen=True, slots=True)
class Storage:
    """Where state lives. After loading, ``directory`` and an SQLite file's path are absolute. ``live_shards`` is for
    Redis: into how many parts live state is divided. ``lease_ms``: after which
    silence of a process others do its work. ``database_connections`` read at once, and one more writes; what it does
    not take within ``spool_after_ms`` goes to the spool."""

    directory: Annotated[Path, Parsed(parse_path, "a path")] = Path("data")
    database: Annotated[Database, Parsed(parse_database, "a database", quoted=False)] = _SQLITE
    database_connections: Annotated[int, Whole(1, 1000)] = 4
    database_timeout_ms: Annotated[int, Duration("100ms", "1h")] = 60_000
    spool_max_bytes: Annotated[int, Parsed(parse_size, "a size", low=1_000_000, high=10**13)] = 100_000_000
    spool_after_ms: Annotated[int, Duration("50ms", "1m")] = 2_500
    live: Annotated[Live, Parsed(parse_live, "a live store", quoted=False)] = _MEMORY
    live_shards: Annotated[int, Whole(1, 256)] = 16
    lease_ms: Annotated[int, Duration("1s", "5m")] = 10_000


@dataclass(frozen=True, slots=True)
class WatchingInterval:
    """How often players report, told to them through ``GET /api/v1/config``."""

    anonymous_ms: Annotated[int, Duration("500ms", "10m")] = 5_000
    users_ms: Annotated[int, Duration("500ms", "10m")] = 5_000


@dataclass(frozen=True, slots=True)
class MaxAge:
    """How long hourly view buckets (and viewer rows) are kept, by whose video it is; None: for ever."""

    local_ms: Annotated[int | None, Duration("1h", never=True)] = None
    remote_ms: Annotated[int | None, Duration("1h", never=True)] = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Views:
    """How watching becomes viewers, views and watch time."""

    viewer_lifetime_ms: Annotated[int, Duration("1s", "1h")] = 120_000
    view_expiration_ms: Annotated[int, Duration("1s", "365d")] = 3_600_000
    count_view_after_ms: Annotated[int, Duration("0s", "1h")] = 10_000
    watching_interval: WatchingInterval = WatchingInterval()
    trust_viewer_session_id: bool = True
    stats_lifetime_ms: Annotated[int, Duration("1s", "30d")] = 3_600_000
    watch_time: WatchTime = WatchTime.STRICT
    rate_limit: Limit = _API_RATE
    max_age: MaxAge = MaxAge()
    max_viewers: Annotated[int, Whole(1, 1_000_000_000)] = 5_000_000
    token_ttl_ms: Annotated[int, Duration("1s", "30d")] = 3_600_000
    resume_max_age_ms: Annotated[int | None, Duration("1h", never=True)] = 90 * 86_400_000
    playback_rate: Annotated[float, Decimal(1.0, 16.0)] = 2.0
    watch_time_slack_ms: Annotated[int, Duration("0s", "1m")] = 5_000
    journal_interval_ms: Annotated[int, Duration("10ms", "1m")] = 1_000
    journal_max_bytes: Annotated[int, Parsed(parse_size, "a size", low=500_000_000, high=10**15)] = 4_000_000_000
    sweep_interval_ms: Annotated[int, Duration("10ms", "1m")] = 1_000
    still_after_ms: Annotated[int | None, Duration("1m", "1d", never=True)] = 600_000
    sessions_per_address: Annotated[int | None, Parsed(Whole(1, 10_000).parse, "a whole number", never=True)] = 500
    ignore_bots: bool = True
    ignore_prefetch: bool = True
    count_owner: bool = True
    places_at_least: Annotated[int, Whole(1, 1_000)] = 3


@dataclass(frozen=True, slots=True)
class Federation:
    """How we talk with other instances. See ``config.yaml`` for each key's meaning."""

    open: bool = True
    allow_http: bool = False
    allow_private_addresses: bool = False
    clock_skew_ms: Annotated[int, Duration("1s", "1d")] = 1_800_000
    minimum_key_bits: Annotated[int, Whole(1024, 16384)] = 2048
    announce_within_ms: Annotated[int, Duration("10ms", "10m")] = 3_000
    announce_views_within_ms: Annotated[int, Duration("100ms", "1d")] = 1_800_000
    max_expires_ms: Annotated[int, Duration("2s", "1d")] = 600_000
    signed_fetch: bool = False
    ed25519: bool = False
    key_overlap_ms: Annotated[int, Duration("1m", "90d")] = 3 * 86_400_000
    max_viewers_per_video: Annotated[int, Whole(0)] = 100_000
    max_new_viewers_per_minute: Annotated[int, Whole(0)] = 20_000
    max_videos: Annotated[int, Whole(0, 10_000)] = 2_000
    max_views_per_hour: Annotated[int, Whole(0)] = 20_000
    hosts_per_site: Annotated[int, Whole(1, 1_000)] = 4
    hosts_per_provider: Annotated[int, Whole(1, 10_000)] = 16
    unusual_at: Annotated[float | None, Parsed(Decimal(1.0, 1_000.0).parse, "a number", never=True)] = 8.0
    max_count: Annotated[int, Whole(1)] = 10_000_000
    quarantine_size: Annotated[int, Whole(0, 1_000_000)] = 1_000
    quarantine_memory_bytes: Annotated[int, Parsed(parse_size, "a size", high=10**10)] = 8_000_000
    batch_max_items: Annotated[int, Whole(1, 10_000)] = 500
    key_cache_size: Annotated[int, Whole(1, 10_000_000)] = 10_000
    key_ttl_ms: Annotated[int, Duration("1s", "365d")] = 2 * 86_400_000
    negative_key_ttl_ms: Annotated[int, Duration("100ms", "1d")] = 600_000
    key_fetches_per_host: Limit = _KEY_FETCH_RATE
    peer_stays: Limit = _STAYS_RATE
    peer_requests: Annotated[Rate, Parsed(parse_rate, "a rate")] = _PEER_RATE
    refollow_interval_ms: Annotated[int, Duration("1s", "30d")] = 6 * 3_600_000
    video_refresh_ms: Annotated[int, Duration("1s", "365d")] = 2 * 86_400_000
    import_unknown_videos: ImportUnknown = ImportUnknown.NEVER
    retry_for_ms: Annotated[int, Duration("1s", "90d")] = 7 * 86_400_000
    retry_first_ms: Annotated[int, Duration("10ms", "1h")] = 10_000
    retry_max_ms: Annotated[int, Duration("10ms", "7d")] = 6 * 3_600_000
    deliveries_at_once: Annotated[int, Whole(1, 1_000)] = 200
    probes_at_once: Annotated[int, Whole(1, 1_000)] = 16
    signing_threads: Annotated[int, Whole(1, 64)] = 2
    peer_metrics: Annotated[int, Whole(0, 10_000)] = 100
    resolver: Resolver = Resolver.DNS
    name_servers: tuple[Annotated[str, Parsed(parse_name_server, "the address of a name server")], ...] = ()
    lookup_timeout_ms: Annotated[int, Duration("100ms", "30s")] = 3_000
    lookups_at_once: Annotated[int, Whole(8, 100_000)] = 512
    software_ttl_ms: Annotated[int, Duration("1s", "90d")] = 86_400_000
    max_peers: Annotated[int, Whole(1, 10_000_000)] = 20_000
    max_followers: Annotated[int, Whole(1, 1_000_000)] = 20_000
    follower_expires_ms: Annotated[int, Duration("1d", "365d")] = 30 * 86_400_000
    remember_ids_ms: Annotated[int, Duration("1s", "365d")] = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class Logging:
    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoHeaders:
    """Headers of a trusted proxy that say where the client is; at least one."""

    country: HeaderName | None = None
    subdivision: HeaderName | None = None
    city: HeaderName | None = None


@dataclass(frozen=True, slots=True)
class GeoIp:
    """Where a viewer's country and subdivision come from; None (``never``): not looked up."""

    country: Annotated[FileOrUrl | None, Parsed(parse_file_or_url, "a path or URL", never=True)] = None
    city: Annotated[FileOrUrl | None, Parsed(parse_file_or_url, "a path or URL", never=True)] = None
    headers: GeoHeaders | None = None


@dataclass(frozen=True, slots=True)
class Livekit:
    """A LiveKit server whose rooms are live videos of ours. Who is in a room for ``participant_max_ms`` has left."""

    keys: Annotated[tuple[LivekitKey, ...], Table()] = ()
    rooms: Annotated[tuple[LivekitRoom, ...], Table()] = ()
    also_count: tuple[AlsoCount, ...] = ()
    participant_max_ms: Annotated[int, Duration("1m", "30d")] = 6 * 3_600_000
    max_participants: Annotated[int, Whole(1, 100_000_000)] = 100_000


@dataclass(frozen=True, slots=True)
class Pages:
    """Counting page views of web sites."""

    sites: tuple[Site, ...] = ()
    view_dedup_ms: Annotated[int, Duration("0s", "1d")] = 1_800_000
    heartbeat_dedup_ms: Annotated[int, Duration("0s", "1h")] = 20_000
    session_timeout_ms: Annotated[int, Duration("1s", "1d")] = 120_000
    backfill_batch: Annotated[int, Whole(1, 100_000)] = 500
    max_age_ms: Annotated[int | None, Duration("1d", never=True)] = 400 * 86_400_000
    max_paths: Annotated[int, Whole(1, 10_000_000)] = 100_000
    max_referrers: Annotated[int, Whole(1, 10_000_000)] = 20_000
    max_sessions: Annotated[int, Whole(1, 1_000_000_000)] = 1_000_000
    location_minimum: Annotated[int, Whole(1, 1_000_000)] = 3
    catalog_refresh_ms: Annotated[int, Duration("1m", "30d")] = 3_600_000


@dataclass(frozen=True, slots=True)
class Playback:
    """How playing goes for viewers. ``interval_ms`` is told to players, which report so often."""

    interval_ms: Annotated[int, Duration("1s", "5m")] = 15_000
    max_age_ms: Annotated[int | None, Duration("1h", never=True)] = 30 * 86_400_000
    max_label_sets: Annotated[int, Whole(0, 100_000)] = 1_000


@dataclass(frozen=True, slots=True)
class TelemetryEvents:
    """Where telemetry's records go. ``max_age_ms`` is of those in the database."""

    log: bool = False
    database: bool = False
    max_age_ms: Annotated[int | None, Duration("1h", never=True)] = 7 * 86_400_000
    opentelemetry: Annotated[str | None, Parsed(parse_http_url, "a URL", never=True)] = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Who comes, plays and goes, and how well it plays. ``max_viewers`` are followed one by one at once."""

    enabled: bool = True
    max_viewers: Annotated[int, Whole(1, 100_000_000)] = 100_000
    max_waiting: Annotated[int, Whole(100, 10_000_000)] = 10_000
    flush_interval_ms: Annotated[int, Duration("100ms", "10m")] = 30_000
    playback: Playback = Playback()
    events: TelemetryEvents = TelemetryEvents()


@dataclass(frozen=True, slots=True)
class Config:
    """One whole configuration. ``source_path`` is the file it came from (None: built in code), ``empty`` whether that
    says nothing; neither is a key."""

    instance: Instance = Instance()
    listen: Listen = Listen()
    storage: Storage = Storage()
    views: Views = Views()
    federation: Federation = Federation()
    logging: Logging = Logging()
    peers: tuple[Peer, ...] = ()
    tokens: tuple[Token, ...] = ()
    videos: tuple[ConfiguredVideo, ...] = ()
    geoip: GeoIp = GeoIp()
    webhooks: tuple[Webhook, ...] = ()
    livekit: Livekit = Livekit()
    pages: Pages = Pages()
    telemetry: Telemetry = Telemetry()
    source_path: Path | None = field(default=None, metadata={"key": None})
    empty: bool = field(default=False, metadata={"key": None})
