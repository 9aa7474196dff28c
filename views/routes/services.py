"""What the REST of players and host applications stands on; built by whoever owns the parts."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from foundation.clock import Clock
from foundation.metrics import Metrics
from foundation.ratelimit import WindowLimiter
from foundation.shedding import Shedder
from foundation.tokens import TokenBook
from views.audience import Audience
from views.catalog.catalog import Catalog
from views.channel_totals import Channels
from views.counting import ViewCounter
from views.geo.places import PlaceHeaders
from views.pages.service import Pages
from views.ports import VideoImporter
from views.replay import Replays
from views.resume import ResumePositions
from views.routes.honesty import ReportRules
from views.sessions import Identity, ViewerTokens
from views.sharing import Sharing
from views.stats.model import Statistics
from views.telemetry.desk import PlaybackDesk
from views.telemetry.feed import ViewerFeed
from views.telemetry.interface import TelemetryService
from views.telemetry.null import NullTelemetry
from views.viewers import Viewers
from views.watching import Watching

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Command = Callable[[], Awaitable[object]]


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What the answers say about this instance.

    ``account`` is the name of the account above every channel of ours. Reporting periods are in milliseconds, None
    switches reporting off for that kind of player. ``max_streams`` bounds the open event streams of the process,
    ``max_streams_per_address`` those of one address (IPv6: one /64); ``places_at_least`` is how many viewers a country
    or subdivision needs to be shown.
    """

    instance_name: str = "Fediviews"
    version: str = "0.0.0"
    account: str = "peertube"
    watching_anonymous_ms: int | None = 5_000
    watching_users_ms: int | None = 5_000
    viewer_token_ttl_ms: int = 3_600_000
    max_streams: int = 5_000
    max_streams_per_address: int = 50
    trusted_proxies: Sequence[Network] = ()
    places_at_least: int = 1


@dataclass(frozen=True, slots=True)
class ViewsApi:
    """The parts behind the routes.

    ``limiter`` counts per client network what is reported, ``reading`` what is asked; None for no limit. ``commands``
    are what an admin may run through ``POST /api/v1/server/debug/run-command``.

    ``audience`` is there where players are asked how well it plays. What may be None is absent with its routes. What
    ``geo_attribution`` gives is shown beside countries: the licence of the place names asks for it. ``place_headers``
    are believed from trusted proxies.
    """

    clock: Clock
    metrics: Metrics
    catalog: Catalog
    viewers: Viewers
    counter: ViewCounter
    watching: Watching
    identity: Identity
    tokens: TokenBook
    viewer_tokens: ViewerTokens
    importer: VideoImporter
    settings: ApiSettings = field(default_factory=ApiSettings)
    limiter: WindowLimiter[str] | None = None
    reading: WindowLimiter[str] | None = None
    audience: Audience | None = None
    commands: Mapping[str, Command] = field(default_factory=dict)
    statistics: Statistics | None = None
    channels: Channels | None = None
    resume: ResumePositions | None = None
    replays: Replays | None = None
    sharing: Sharing | None = None
    geo_attribution: Callable[[], str | None] = _nothing
    place_headers: PlaceHeaders | None = None
    telemetry: TelemetryService = field(default_factory=NullTelemetry)
    playback: PlaybackDesk | None = None
    feed: ViewerFeed | None = None
    shedder: Shedder | None = None
    rules: ReportRules = field(default_factory=ReportRules)
    pages: Pages | None = None
