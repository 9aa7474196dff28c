"""What is watched here: the catalog, viewers, counted views, statistics, web sites and telemetry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from federation.documents import InstanceIdentity
from federation.peers import Peers
from service.building.geo import Geo
from service.building.ground import Ground
from service.building.late import Late
from service.building.telemetry import TelemetryHouse
from service.building.user_agent import user_agent
from service.building.viewer_secret import viewer_secret
from service.building.websites import WebSites
from service.config import WatchTime
from service.workers.together import Together
from views.catalog.catalog import Catalog
from views.channel_totals import Channels
from views.counting import CountingRules, ViewCounter
from views.ports import Announcer, CountedViews, Notifier, NullNotifier
from views.replay import Replays
from views.resume import ResumePositions
from views.sections import Arithmetic, Rules
from views.sessions import Identity, ViewerTokens
from views.sharing import Sharing
from views.stats.cleaner import Cleaner
from views.stats.moving import StayMover
from views.stats.presence import PresentViewers
from views.stats.queries import StayStatistics
from views.stats.recorder import Recorder
from views.telemetry.interface import TelemetryService
from views.telemetry.names import SessionNames
from views.telling import Telling
from views.viewers import Lifetimes, Viewers
from views.watching import Watching, WatchingRules

VIDEO_NEWS = "video"
"""Topic of changed videos, by number."""


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


def views_tower(
    ground: Ground,
    announcer: Announcer,
    *,
    identity: InstanceIdentity,
    peers: Peers,
    notifier: Notifier | None = None,
    counted: CountedViews | None = None,
) -> ViewsTower:
    """``notifier`` is told what happens; ``counted`` of views, in their transaction;
    both are built before there is anything to tell of."""
    notifier = notifier or NullNotifier()
    config, clock, metrics = ground.config, ground.clock, ground.metrics
    views = config.views
    secret = viewer_secret(config.storage.directory)
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
        quota_of=peers.quota,
        believed=peers.parties.believed,
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
    agent = user_agent(identity.base_url)
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
