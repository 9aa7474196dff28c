"""The whole REST of players and host applications on a real catalog, real counters and a clock that waits."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.principal import Role
from foundation.ratelimit import WindowLimiter
from foundation.tokens import TokenBook, TokenGrant
from views.catalog.catalog import Catalog
from views.channel_totals import Channels
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.counting import CountingRules, ViewCounter
from views.model import Privacy, RemoteVideo, Video, VideoDraft
from views.ports import NullAnnouncer
from views.replay import Replays
from views.resume import ResumePositions
from views.routes import setup_routes
from views.routes.push import ViewerPush
from views.routes.services import ApiSettings, Command, ViewsApi
from views.sessions import Identity, ViewerTokens
from views.sharing import Sharing
from views.stats.model import Statistics
from views.stats.moving import StayMover
from views.stats.presence import PresentViewers
from views.stats.queries import StayStatistics
from views.stats.recorder import Recorder
from views.telling import Telling
from views.viewers import Lifetimes, Viewers
from views.watching import Watching, WatchingRules

SECRET = bytes(range(32))
VOD = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
SHORT = "1b7a1a5e-76a5-4a4f-9d33-0d6f3b0b9a10"
LIVE = "2c0d6b52-6d9b-4d6c-8f2c-6b1c7d0e4f21"
SECRET_VIDEO = "3f2f9d7c-5a35-4b8c-a3a1-8f6f0a3c2b32"
UNKNOWN = "7e6f5d4c-3b2a-4190-8f7e-6d5c4b3a2910"
REMOTE_URL = "https://far.example/videos/watch/4d3c2b1a-0f9e-4d8c-b7a6-958473625140"

ADMIN = {"Authorization": "Bearer admin-token-1"}
HOST = {"Authorization": "Bearer host-token-1"}
STATS = {"Authorization": "Bearer stats-token-1"}
CLIPS = {"Authorization": "Bearer clips-token-1"}
"""Of a stats token that reaches the channel ``clips`` alone."""


class FakeImporter:
    """Answers what a test puts into ``answers``."""

    def __init__(self) -> None:
        self.answers: dict[str, Video | Refused] = {}

    async def import_video(self, url: str) -> Video | Refused:
        return self.answers.get(url, Refused("video_unavailable", "no answer", 502))


@dataclass
class House:
    """Everything a test wants to look at behind the routes."""

    api: ViewsApi
    clock: ManualClock
    metrics: Metrics
    store: MemoryCounterStore
    progress: ProgressStore
    recorder: Recorder
    importer: FakeImporter
    push: ViewerPush | None = None
    videos: dict[str, Video] = field(default_factory=dict)

    def app(self) -> web.Application:
        app = web.Application()
        self.push = setup_routes(app.router, self.api).push
        push = self.push

        async def shutdown(_app: web.Application) -> None:
            push.close()

        app.on_shutdown.append(shutdown)
        return app

    async def put(self, uuid: str, **said: Any) -> Video:
        draft = VideoDraft(**{"uuid": uuid, "name": "A video", "duration_s": 600, **said})
        verdict = await self.api.catalog.put_local(draft)
        assert not isinstance(verdict, Refused)
        self.videos[uuid] = verdict[0]
        return verdict[0]

    async def views(self, uuid: str) -> int:
        video = await self.api.catalog.by_uuid(uuid)
        assert video is not None
        return video.views

    async def viewers(self, uuid: str) -> int:
        video = await self.api.catalog.by_uuid(uuid)
        assert video is not None
        return (await self.api.viewers.shown(video)).viewers


def remote_video(**said: Any) -> RemoteVideo:
    base: dict[str, Any] = {
        "uuid": REMOTE_URL[-36:],
        "url": REMOTE_URL,
        "origin": "far.example",
        "name": "From afar",
        "duration_s": 100,
        "is_live": False,
        "channel": "https://far.example/video-channels/films",
        "owner": "https://far.example/accounts/anna",
        "privacy": Privacy.PUBLIC,
        "published_ms": 1_700_000_000_000,
        "updated_ms": 1_700_000_000_000,
        "views": 77,
    }
    return RemoteVideo(**{**base, **said})


async def build(
    database: Database,
    clock: ManualClock,
    metrics: Metrics,
    *,
    rules: WatchingRules | None = None,
    settings: ApiSettings | None = None,
    limit: int | None = None,
    trust_session_id: bool = True,
    max_viewers: int = 1_000,
    commands: Mapping[str, Command] | None = None,
    statistics: Statistics | None = None,
    geo_attribution: str | None = None,
    with_recorder: bool = False,
) -> House:
    """A house with one video of every kind in it. ``with_recorder``: real statistics (nothing runs by itself)."""
    rules = rules or WatchingRules()
    announcer = NullAnnouncer()
    catalog = Catalog(
        database, announcer, clock, lambda uuid: f"https://here.example/videos/watch/{uuid}", "here.example"
    )
    store = MemoryCounterStore(max_viewers, metrics=metrics)
    viewers = Viewers(
        store,
        announcer,
        catalog,
        Telling(SECRET),
        clock,
        quota_of=lambda _host: 2,
        lifetimes=Lifetimes(),
        metrics=metrics,
    )
    counting = CountingRules(view_expiration_ms=rules.view_expiration_ms)
    counter = ViewCounter(database, catalog, store, announcer, clock, metrics, counting)
    progress = ProgressStore(metrics=metrics)
    present = PresentViewers(progress, clock)
    recorder = Recorder(
        database,
        progress,
        present,
        announcer,
        clock,
        metrics,
        secret=SECRET,
        stay_url=lambda uuid: f"https://here.example/videos/local-viewer/{uuid}",
    )
    mover = StayMover(database, progress, recorder)
    if with_recorder:
        statistics = StayStatistics(database, recorder, present, catalog)
    importer = FakeImporter()
    api = ViewsApi(
        clock=clock,
        metrics=metrics,
        catalog=catalog,
        viewers=viewers,
        counter=counter,
        watching=Watching(viewers, counter, progress, clock, metrics, rules, closer=recorder),
        identity=Identity(SECRET, clock, trust_session_id),
        tokens=TokenBook(
            [
                TokenGrant("admin", Role.ADMIN, "admin-token-1"),
                TokenGrant("site", Role.HOST, "host-token-1"),
                TokenGrant("reader", Role.STATS, "stats-token-1"),
                TokenGrant("clips", Role.STATS, "clips-token-1", frozenset({"clips"})),
            ]
        ),
        viewer_tokens=ViewerTokens(SECRET, clock),
        importer=importer,
        settings=settings or ApiSettings(trusted_proxies=(ipaddress.ip_network("127.0.0.1/32"),)),
        limiter=None if limit is None else WindowLimiter(clock, limit, 10_000),
        reading=None if limit is None else WindowLimiter(clock, limit, 10_000),
        commands=commands or {},
        statistics=statistics,
        channels=Channels(database),
        resume=ResumePositions(database, SECRET, clock, metrics, max_age_ms=90 * 86_400_000),
        replays=Replays(database, catalog, announcer, clock, mover.move),
        sharing=Sharing(clock, metrics),
        geo_attribution=lambda: geo_attribution,
    )
    house = House(api, clock, metrics, store, progress, recorder, importer)
    await house.put(VOD)
    await house.put(SHORT, duration_s=5, channel="clips")
    await house.put(LIVE, duration_s=0, is_live=True)
    await house.put(SECRET_VIDEO, privacy=Privacy.PRIVATE)
    return house
