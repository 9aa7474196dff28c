"""News of peers, turned into what the door out has to do about them."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import OrderedDict
from collections.abc import Sequence

from federation.documents import InstanceIdentity
from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.ending import end
from foundation.errors import Refused, StorageUnavailable
from foundation.leases import Alone, Holder, Leases, shard_of
from outbox.announcer import activity_of, announce_of
from outbox.deliverer import Deliverer
from outbox.elsewhere import Elsewhere
from outbox.log import ActivityLog, Kind
from outbox.probe import SoftwareProbe
from outbox.routing import RouteBook
from views.catalog.listing import VideoFilter, page_of
from views.model import Video

_logger = logging.getLogger(__name__)

MAX_ERRANDS = 20_000
RETRY_MS = 1_000


class _Errand(enum.Enum):
    WELCOME = enum.auto()
    FAREWELL = enum.auto()
    BAN = enum.auto()


class OutboxEvents:
    """Implements `federation.ports.PeerEvents`; what needs the database is done by a task of its own, in order.

    A new follower is told our newest ``max_announced`` public videos, then every live total.
    """

    def __init__(
        self,
        *,
        identity: InstanceIdentity,
        log: ActivityLog,
        deliverer: Deliverer,
        book: RouteBook,
        probe: SoftwareProbe,
        database: Database,
        clock: Clock,
        max_announced: int = 100,
        leases: Leases | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """``elsewhere`` and ``leases`` where several processes deliver: what is to be done about a host, the one that
        serves it does."""
        self._leases = leases or Alone()
        self._leases.attend(Holder(self._gained, self._lost))
        self._elsewhere = elsewhere
        self._catch_up = False
        self._identity = identity
        self._log = log
        self._deliverer = deliverer
        self._book = book
        self._probe = probe
        self._database = database
        self._clock = clock
        self._max_announced = min(max_announced, 100)
        self._errands: OrderedDict[str, _Errand] = OrderedDict()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def peer_spoke(self, host: str) -> None:
        self._deliverer.spoke(host)
        if self._elsewhere is not None:
            self._elsewhere.spoke(host)

    def follower_added(self, host: str) -> None:
        self._deliverer.forget_totals(host)
        self._add(host, _Errand.WELCOME)

    def follower_removed(self, host: str) -> None:
        self._deliverer.forget_totals(host)
        self._add(host, _Errand.FAREWELL)

    def following_accepted(self, host: str) -> None:
        self._deliverer.spoke(host)

    def peer_blocked(self, host: str) -> None:
        self._deliverer.forget(host)
        self._add(host, _Errand.BAN)

    async def start(self) -> None:
        """Bring the log in step with who follows (news may have been lost in a crash), then listen."""
        await self.catch_up()
        self._task = asyncio.create_task(self._run(), name="peer events")

    async def catch_up(self) -> None:
        """Welcome the followers that the log does not know, as those of a host that was blocked and is no more."""
        known, following = await self._log.followers_known(), set(self._book.follower_hosts())
        for host in sorted(following - known):
            self._add(host, _Errand.WELCOME)
        for host in sorted(known - following):
            self._add(host, _Errand.FAREWELL)
        for host in following:
            if self._leases.holds(host):
                self._ask_software(host)

    async def stop(self) -> None:
        await end(self._task)
        self._task = None

    def ask_followers(self) -> None:
        """Ask again what software followers run, where that is due; to be called from time to time."""
        for host in self._book.follower_hosts():
            if self._leases.holds(host):
                self._ask_software(host)

    async def purge(self, created_before_ms: int) -> int:
        """Drop activities that everybody has, and those from before an instant; how many. To be called hourly or so."""
        return await self._log.purge(created_before_ms)

    async def _gained(self, _shard: int) -> None:
        self._catch_up = True
        self._wake.set()

    async def _lost(self, shard: int) -> None:
        for host in [host for host in self._errands if shard_of(host, self._leases.shards) == shard]:
            del self._errands[host]

    def _add(self, host: str, errand: _Errand) -> None:
        if not self._leases.holds(host):
            return
        self._errands.pop(host, None)
        if len(self._errands) < MAX_ERRANDS:
            self._errands[host] = errand
            if errand is _Errand.WELCOME:
                self._deliverer.hold_totals(host)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            while not self._errands and not self._catch_up:
                self._wake.clear()
                await self._wake.wait()
            if self._catch_up:
                await self._catch_up_with_gained()
                continue
            host, errand = self._errands.popitem(last=False)
            try:
                await self._do(host, errand)
            except StorageUnavailable:
                self._errands.setdefault(host, errand)
                await self._clock.sleep_ms(RETRY_MS)
            except Exception:
                _logger.exception("news of a peer met a bug")

    async def _catch_up_with_gained(self) -> None:
        self._catch_up = False
        try:
            await self.catch_up()
        except StorageUnavailable:
            self._catch_up = True
            await self._clock.sleep_ms(RETRY_MS)

    async def _do(self, host: str, errand: _Errand) -> None:
        if errand is _Errand.WELCOME:
            await self._welcome(host)
        elif errand is _Errand.FAREWELL:
            await self._database.write(lambda tx: self._log.stop_following(tx, host))
        else:
            await self._database.write(lambda tx: self._log.forget(tx, host))

    async def _welcome(self, host: str) -> None:
        async def work(tx: Transaction) -> None:
            # Listed in the transaction that begins the follow: no video is published between the two.
            page = await page_of(
                tx, 0, self._max_announced, "-publishedAt", VideoFilter(local=True), include_private=False
            )
            videos: Sequence[Video] = () if isinstance(page, Refused) else page.videos
            await self._log.start_following(tx, host)
            for video in reversed(videos):
                announce = activity_of(Kind.ANNOUNCE, video.url, announce_of(self._identity, video), audience=host)
                await self._log.append(tx, announce, self._clock.now_ms())

        await self._log.number()
        await self._database.write(work)
        self._ask_software(host)
        self._deliverer.welcomed(host)

    def _ask_software(self, host: str) -> None:
        inbox = self._book.route(host).inbox
        if inbox is not None:
            self._probe.ask(host, inbox.partition(":")[0].lower())
