"""A Fediviews instance of the real parts between a sign of life and the wire, and between the wire and the number
shown. Not there: keys, sockets, the database (nothing durable is said in a simulation)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from hashlib import blake2b
from types import SimpleNamespace
from typing import Any, cast

from federation.documents import InstanceIdentity
from federation.peers import Follower, Peers
from federation.ports import NullPeerEvents
from federation.vocabulary import View, parse_activity
from federation.vocabulary.build import Document
from foundation.clock import Clock
from foundation.database import Database
from foundation.errors import Refused
from foundation.metrics import Metrics
from inbox.pipeline import Limits, Pipeline
from inbox.quarantine import Quarantine
from inbox.sender import Sender
from inbox.viewing import ViewHandler
from outbox.announcer import OutboxAnnouncer
from outbox.cadence import TotalsPolicy
from outbox.deliverer import Deliverer
from outbox.durable_lane import DurableLane
from outbox.inboxes import InboxDirectory
from outbox.lanes import Courier
from outbox.log import ActivityLog
from outbox.posting import Outcome, Poster
from outbox.retry import Meaning, RetryPolicy, meaning
from outbox.round import Lanes
from outbox.routing import PeerRoutes
from outbox.serving import DeliveryRules
from outbox.soft_lanes import TellLane, TotalsLane
from outbox.tells import TellSlots
from outbox.totals import TotalsBoard
from service.sim.network import Letter, Network
from views.catalog.catalog import Catalog
from views.counters.memory import MemoryCounterStore
from views.counting import ViewCounter
from views.model import Video
from views.telling import Telling
from views.viewers import Lifetimes, Viewers

LIFE_MS = 120_000
SWEEP_MS = 1_000
MAX_EXPIRES_MS = 600_000
ANNOUNCE_WITHIN_MS = 3_000
RETRY = RetryPolicy(first_ms=10_000, max_ms=6 * 3_600_000)


class _Followed(Peers):
    """Followers are given, not read from a database."""

    chosen: tuple[Follower, ...] = ()

    def followers(self) -> tuple[Follower, ...]:
        return self.chosen


class _Shelf:
    """The videos that everybody knows, in place of the catalog."""

    def __init__(self, videos: Sequence[Video]) -> None:
        self._urls = {video.url: video for video in videos}
        self._numbers = {video.number: video for video in videos}

    def peek_url(self, url: str) -> Video | None:
        return self._urls.get(url)

    async def by_url(self, url: str) -> Video | None:
        return self._urls.get(url)

    def peek_number(self, number: int) -> Video | None:
        return self._numbers.get(number)

    async def by_number(self, number: int) -> Video | None:
        return self._numbers.get(number)


class _NothingDurable:
    """In place of the log and of counted views."""

    async def owed(self) -> Sequence[str]:
        return ()

    async def heads(self, seq: int) -> dict[str, int]:
        return {}

    async def pending(self, host: str, limit: int, now_ms: int) -> Sequence[Any]:
        return ()

    async def next_try_ms(self, host: str) -> int | None:
        return None

    async def count_remote(self, *_: object) -> bool:
        return True


class _Post:
    """In place of the poster: over the simulated network, dated but not signed."""

    def __init__(self, host: str, peers: Peers, network: Network, clock: Clock) -> None:
        self._host = host
        self._peers = peers
        self._network = network
        self._clock = clock

    async def post(self, host: str, actor: str, url: str, body: bytes) -> Outcome:
        letter = Letter(self._host, actor, self._clock.now_ms() // 1_000 * 1_000, body)
        answer = await self._network.post(host, letter)
        if answer is None:
            return Outcome(Meaning.LATER, "timeout")
        status, date_ms = answer
        received_ms = self._clock.now_ms()
        self._peers.observe_date(host, date_ms, received_ms)
        return Outcome(meaning(status), f"status_{status}", status, received_ms=received_ms)


class _Inboxes:
    """Every actor's shared inbox is where it always is."""

    async def shared_inbox(self, actor: str) -> str:
        return f"https://{actor.split('/')[2]}/inbox"

    def forget(self, actor: str) -> None:
        return None


class Fediviews:
    """One instance. ``videos`` are as it sees them: ``local`` where it is the origin."""

    def __init__(
        self, host: str, *, videos: Sequence[Video], network: Network, clock: Clock, chance: random.Random
    ) -> None:
        self.host = host
        self.clock = clock
        metrics, nothing, shelf = Metrics(), _NothingDurable(), _Shelf(videos)
        self._peers = _Followed(cast(Database, None), clock, NullPeerEvents(), own_host=host)
        self._board = TotalsBoard(TotalsPolicy(LIFE_MS))
        slots = TellSlots()
        poster = cast(Poster, _Post(host, self._peers, network, clock))
        identity = InstanceIdentity(f"https://{host}", host, "")
        self._deliverer = self._delivering(identity, poster, slots, shelf, nothing, clock, metrics, chance)
        announcer = OutboxAnnouncer(
            identity=identity,
            log=cast(ActivityLog, nothing),
            deliverer=self._deliverer,
            peers=self._peers,
            ask_software=lambda _host, _scheme: None,
            clock=clock,
        )
        secret = chance.randbytes(32)
        self.viewers = Viewers(
            MemoryCounterStore(metrics=metrics),
            announcer,
            shelf,
            Telling(secret),
            clock,
            quota_of=self._peers.quota,
            lifetimes=Lifetimes(LIFE_MS, MAX_EXPIRES_MS),
        )
        self.quarantine = Quarantine(1_000, clock, metrics)
        self._pipeline = self._receiving(shelf, nothing, clock, metrics)

    @property
    def software(self) -> Document:
        offers = {"protocol": 1, "yours": True, "batch": True}
        return {
            "version": "2.0",
            "software": {"name": "fediviews", "version": "1"},
            "metadata": {"fediviews": offers},
        }

    def meet(self, others: Sequence[tuple[str, Document]]) -> None:
        """Know what the others run, and be followed by all of them."""
        for host, software in others:
            self._peers.software.learn(host, software, self.clock.now_ms())
        self._peers.chosen = tuple(Follower(host, f"https://{host}/inbox") for host, _ in others)

    # Viewers

    async def watch(self, video: Video, viewer: str) -> None:
        await self.viewers.watching(video, _key(viewer))

    async def leave(self, video: Video, viewer: str) -> None:
        await self.viewers.left(video, _key(viewer))

    async def shown(self, video: Video) -> int:
        return (await self.viewers.shown(video)).viewers

    # Inbox

    async def receive(self, letter: Letter) -> int:
        received_ms = self.clock.now_ms()
        self._peers.observe_signed(letter.sender, letter.signed_ms, received_ms)
        self._deliverer.spoke(letter.sender)
        activity = parse_activity(letter.body, max_items=500)
        if isinstance(activity, Refused):
            return activity.status
        sender = Sender(letter.actor, letter.sender, letter.signed_ms, received_ms)
        refusal = await self._pipeline.apply(activity, sender)
        return 204 if refusal is None else refusal.status

    # Time

    async def run(self) -> None:
        """Deliver and sweep for ever."""
        await self._deliverer.start()
        try:
            while True:
                await self.viewers.sweep()
                await self.clock.sleep_ms(SWEEP_MS)
        finally:
            await self._deliverer.stop()

    async def close(self) -> None:
        return None

    # Made of

    def _delivering(
        self,
        identity: InstanceIdentity,
        poster: Poster,
        slots: TellSlots,
        shelf: _Shelf,
        nothing: _NothingDurable,
        clock: Clock,
        metrics: Metrics,
        chance: random.Random,
    ) -> Deliverer:
        actor, log = identity.actor_url, cast(ActivityLog, nothing)
        courier, directory = Courier(poster, clock, metrics), cast(InboxDirectory, _Inboxes())

        async def numbers(videos: Sequence[Video]) -> Sequence[Any]:
            return await self.viewers.shown_many(videos)

        async def told(tell: Any, acked_ms: int) -> None:
            await self.viewers.told(tell, acked_ms)

        return Deliverer(
            log=log,
            slots=slots,
            board=self._board,
            book=PeerRoutes(self._peers),
            lanes=Lanes(
                DurableLane(
                    log=log, courier=courier, directory=directory, policy=RETRY, clock=clock, random=chance.random
                ),
                TellLane(actor=actor, slots=slots, courier=courier, directory=directory, told=told, clock=clock),
                TotalsLane(
                    actor=actor,
                    board=self._board,
                    courier=courier,
                    numbers=numbers,
                    video_of=shelf.by_number,
                    clock=clock,
                ),
            ),
            numbers=numbers,
            rules=DeliveryRules(announce_within_ms=ANNOUNCE_WITHIN_MS, retry=RETRY),
            clock=clock,
            metrics=metrics,
            random=chance.random,
        )

    def _receiving(self, shelf: _Shelf, nothing: _NothingDurable, clock: Clock, metrics: Metrics) -> Pipeline:
        views = ViewHandler(
            peers=self._peers,
            catalog=cast(Catalog, shelf),
            viewers=self.viewers,
            counter=cast(ViewCounter, nothing),
            clock=clock,
            max_expires_ms=MAX_EXPIRES_MS,
        )

        async def handle(activity: object, sender: Sender) -> Refused | None:
            return await views(activity, sender) if isinstance(activity, View) else None

        absent: Any = SimpleNamespace()
        return Pipeline(
            profile=absent,
            keys=absent,
            peers=self._peers,
            handle=handle,
            quotas=absent,
            quarantine=self.quarantine,
            limits=Limits(1_000_000, 10_000, 500, 10_000_000),
            address_of=lambda _: "",
            spoke=self._deliverer.spoke,
            clock=clock,
            metrics=metrics,
        )


def _key(viewer: str) -> bytes:
    return blake2b(viewer.encode(), digest_size=16).digest()
