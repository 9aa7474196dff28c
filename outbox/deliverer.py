"""Brings everything that is said to whoever should hear it: one round at a time per peer, many peers at once.

A peer in trouble waits by itself, longer each time, and its rounds run in a lane of their own, in which those that took
something lately go first: a host that hangs holds up nobody else. Whatever is sent twice by a stop in the middle is the
same activity, which receivers know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.leases import Alone, Holder, Leases, shard_of
from foundation.metrics import Metrics
from outbox.breaker import BreakerState
from outbox.followers_due import FollowersDue
from outbox.log import FOLLOWERS, ActivityLog
from outbox.peer_notices import PeerNotices
from outbox.round import Lanes, Round
from outbox.routing import RouteBook
from outbox.serving import STORE_WAIT_MS, DeliveryRules, Serving
from outbox.soft_lanes import Numbers
from outbox.standing import HostHealth, NoHealth, Standing, Standings, TroublePolicy
from outbox.tells import TellBox
from outbox.totals import Board
from outbox.waiting import wait_for
from views.model import Video
from views.ports import Notifier, NullNotifier, Tell

_logger = logging.getLogger(__name__)

HOUSEKEEPING_MS = 60_000
MAX_WAIT_MS = 60_000


class Deliverer:
    """Owner of all deliveries. ``start`` and ``stop`` once; everything else is safe at any time and never blocks."""

    def __init__(
        self,
        *,
        log: ActivityLog,
        slots: TellBox,
        board: Board,
        book: RouteBook,
        lanes: Lanes,
        numbers: Numbers,
        rules: DeliveryRules,
        clock: Clock,
        metrics: Metrics,
        random: Callable[[], float],
        leases: Leases | None = None,
        moved: Callable[[], Awaitable[Sequence[Video]]] | None = None,
        notifier: Notifier | None = None,
        health: HostHealth | None = None,
    ) -> None:
        """``leases`` and ``moved`` (as `FollowersDue` says) where several processes deliver: each serves its hosts."""
        self._leases = leases or Alone()
        self._leases.attend(Holder(self._gained, self._lost))
        self._shared = moved is not None
        self._health = health or NoHealth()
        self._log = log
        self._notices = PeerNotices(notifier or NullNotifier(), clock)
        self._slots = slots
        self._board = board
        self._book = book
        self._clock = clock
        self._peers = Standings(recall=self._health.recall)
        self._trouble = TroublePolicy(rules.retry, soft_max_ms=rules.soft_max_ms)
        self._due = FollowersDue(
            board=board,
            book=book,
            numbers=numbers,
            clock=clock,
            pulse_ms=rules.announce_within_ms // 3,
            moved=moved,
        )
        round_ = Round(
            lanes=lanes,
            log=log,
            slots=slots,
            book=book,
            due=self._due,
            leases=self._leases,
            clock=clock,
            forget=self.forget,
        )
        self._wake = asyncio.Event()
        self._serving = Serving(
            round_=round_,
            rules=rules,
            trouble=self._trouble,
            health=self._health,
            notices=self._notices,
            clock=clock,
            metrics=metrics,
            random=random,
            ended=self._wake.set,
        )
        self._pulse_every_ms = max(1, rules.announce_within_ms // 3)
        self._pulse_ms = 0
        self._seen_seq = 0
        self._look = True
        self._look_back = False
        self._swept_ms = 0
        self._main: asyncio.Task[None] | None = None
        self._crowded = metrics.counter("fediviews_tells_crowded_total", "Viewers to tell that found no room")
        metrics.gauge_from(
            "fediviews_delivery_breakers_open",
            "Peers asked by single probes only",
            lambda: self._peers.in_state(BreakerState.OPEN) + self._peers.in_state(BreakerState.HALF_OPEN),
        )
        metrics.gauge_from("fediviews_delivery_peers", "Peers with something to do or in trouble", self._peers.__len__)

    # What is said

    def tell(self, tell: Tell) -> None:
        """A viewer for its origin: soft, one slot, the newest wins."""
        if not self._shared and not self._slots.has(tell.video.origin):
            self._wake.set()
        if self._slots.put(tell):
            self._crowded.inc()

    def number_moved(self, video: Video) -> None:
        """The number shown of a video of ours may have moved. O(1)."""
        if self._due.number_moved(video):
            self._wake.set()

    def committed(self) -> None:
        """There may be something new in the log."""
        self._look = True
        self._wake.set()

    def wake(self, host: str) -> None:
        """Look at this host again: it began to follow, or its software became known."""
        self._peers[host].durable = True
        self._due.look_again()
        self._wake.set()

    def spoke(self, host: str) -> None:
        """The host is alive: its breaker closes, and what waits for it waits no longer than after a first failure."""
        peer = self._peers.get(host)
        if peer is None:
            return
        if peer.spoke(self._trouble):
            self._wake.set()
        self._notices.look(host, peer)

    def hurry(self, host: str) -> None:
        """An administrator wants what waits for this host to be tried now, whatever it did before."""
        peer = self._peers[host]
        peer.durable, peer.not_before_ms, peer.soft_before_ms = True, 0, 0
        self._wake.set()

    def forget(self, host: str) -> None:
        """The host was blocked: no soft state for it."""
        self._slots.forget(host)
        self._board.forget_peer(host)

    def forget_totals(self, host: str) -> None:
        """The host begins (again) to follow us, or stopped: should it follow, it hears every live total."""
        self._board.forget_peer(host)
        self._due.look_again()
        self._wake.set()

    def hold_totals(self, host: str) -> None:
        """No totals for a new follower until it is ``welcomed``: it would drop those of videos not announced to it."""
        self._due.hold(host)

    def welcomed(self, host: str) -> None:
        """What a new follower has to know is in the log: totals may come behind it."""
        self._due.welcome(host)
        self._look = True
        self.wake(host)

    def troubled(self) -> dict[str, str]:
        """Hosts whose last delivery failed, and why."""
        return self._peers.troubled()

    def standing(self, host: str) -> Standing | None:
        """Where a host stands; None for one without trouble and with nothing to do."""
        return self._peers.get(host)

    # Life

    async def start(self) -> None:
        """Begin with what a restart left undelivered. Raises StorageUnavailable."""
        await self._look_at_all()
        self._main = asyncio.create_task(self._run(), name="deliverer")

    async def stop(self) -> None:
        """Stop within two seconds; deliveries under way are broken off, to be repeated after the next start."""
        await self._serving.stop(self._main)
        self._main = None

    async def _gained(self, _shard: int) -> None:
        self._look_back = True
        self._due.look_again()
        self._wake.set()

    async def _lost(self, shard: int) -> None:
        """Let rounds with the shard's hosts end: what arrived is written down before another process begins."""

        def theirs(host: str) -> bool:
            return shard_of(host, self._leases.shards) == shard

        await self._serving.let_end(theirs)
        self._due.look_again()
        try:
            await self._health.save(theirs)
        except StorageUnavailable:
            _logger.warning("how deliveries to some hosts went lately is lost")
        self._peers.forget(theirs)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._gather()
                wait_ms = self._dispatch()
            except StorageUnavailable:
                self._look = True
                await self._clock.sleep_ms(STORE_WAIT_MS)
                continue
            except Exception:
                _logger.exception("the deliverer met a bug; it goes on")
                await self._clock.sleep_ms(STORE_WAIT_MS)
                continue
            await wait_for(self._wake, self._clock, min(wait_ms, MAX_WAIT_MS))

    async def _gather(self) -> None:
        """Take in what was said since the last time."""
        now_ms = self._clock.monotonic_ms()
        if self._shared and self._pulse_ms <= now_ms:
            self._pulse_ms = now_ms + self._pulse_every_ms
            # Other processes write the log as well.
            self._look = True
            self._crowded.inc(await self._slots.exchange())
        if self._look_back:
            self._look_back = False
            await self._look_at_all()
        if self._look:
            self._look = False
            for audience, seq in (await self._log.heads(self._seen_seq)).items():
                self._seen_seq = max(self._seen_seq, seq)
                for host in self._book.follower_hosts() if audience == FOLLOWERS else (audience,):
                    if self._leases.holds(host):
                        self._peers[host].durable = True
        await self._due.gather()
        if now_ms - self._swept_ms >= HOUSEKEEPING_MS:
            self._swept_ms = now_ms
            self._slots.sweep(self._clock.now_ms())

    async def _look_at_all(self) -> None:
        """Of hosts that came to this process with what they are owed, and how it went with them before."""
        try:
            await self._health.load()
            for host in await self._log.owed():
                if self._leases.holds(host):
                    self._peers[host].durable = True
            for host in self._health.troubled():
                if self._leases.holds(host):
                    self._peers[host]  # So that a word of theirs closes their breakers.
        except StorageUnavailable:
            self._look_back = True
            raise

    def _dispatch(self) -> int:
        """Begin a round with every host that is due; how long until the next one is, in milliseconds."""
        now_ms = self._clock.monotonic_ms()
        for host in (*self._due.hosts(), *self._slots.hosts()):
            self._peers[host]  # Whoever has none gets one.
        begin, next_ms = self._peers.due(lambda host: host in self._due or self._slots.has(host), now_ms)
        for host, peer in begin:
            if self._leases.holds(host):
                self._serving.begin(host, peer)
            else:
                # Whoever serves it now looks for itself what it is owed.
                peer.durable, peer.exception_ms = False, None
                self._due.done(host)
        wait_ms = MAX_WAIT_MS if next_ms is None else min(MAX_WAIT_MS, next_ms)
        due_ms = self._due.next_ms()
        return wait_ms if due_ms is None else min(wait_ms, due_ms - now_ms)
