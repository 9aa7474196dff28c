"""One round with one host: everything that is for it, lane by lane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from foundation.clock import Clock
from foundation.leases import Leases
from outbox.durable_lane import DurableLane
from outbox.followers_due import FollowersDue
from outbox.lanes import Served
from outbox.log import ActivityLog
from outbox.posting import Outcome
from outbox.routing import Route, RouteBook
from outbox.soft_lanes import TellLane, TotalsLane
from outbox.standing import Standing
from outbox.tells import TellBox


@dataclass(frozen=True, slots=True)
class Lanes:
    durable: DurableLane
    tells: TellLane
    totals: TotalsLane


class Round:
    """The owner never runs two with the same host at once. ``forget`` is told of a host that was blocked."""

    def __init__(
        self,
        *,
        lanes: Lanes,
        log: ActivityLog,
        slots: TellBox,
        book: RouteBook,
        due: FollowersDue,
        leases: Leases,
        clock: Clock,
        forget: Callable[[str], None],
    ) -> None:
        self._lanes = lanes
        self._log = log
        self._slots = slots
        self._book = book
        self._due = due
        self._leases = leases
        self._clock = clock
        self._forget = forget

    async def serve(self, host: str, peer: Standing) -> tuple[Outcome | None, int]:
        """Until nothing is left or a lane fails; the failure, and how many activities arrived. Raises
        StorageUnavailable."""
        sent = 0
        while True:
            if not self._leases.holds(host):
                return None, sent
            route = self._book.route(host)
            # Whoever is welcomed in the middle of a round hears the announcements in the next one, and totals then.
            welcome = self._due.is_welcome(host)
            peer.durable, durable = False, peer.durable
            if route.blocked:
                self._due.done(host)
                self._forget(host)
                return None, sent
            served = [await self._lanes.durable.serve(route)] if durable else []
            if not _failed(served) and self._slots.has(host):
                served.append(await self._lanes.tells.serve(route))
            if not _failed(served) and welcome and host in self._due:
                # Read anew: its software may have become known while the first lanes were busy.
                served.append(await self._totals(self._book.route(host)))
            if durable:
                peer.durable = peer.durable or served[0].more or served[0].failure is not None
                next_try_ms = await self._log.next_try_ms(host)
                if next_try_ms is not None:
                    ahead_ms = max(0, next_try_ms - self._clock.now_ms())
                    peer.exception_ms = self._clock.monotonic_ms() + ahead_ms
            failure = _failed(served)
            sent += sum(one.sent for one in served)
            if failure is not None or not any(one.more for one in served):
                return failure, sent

    async def _totals(self, route: Route) -> Served:
        if route.inbox is None or not route.totals:
            self._due.done(route.host)
            return Served()
        served = await self._lanes.totals.serve(route)
        if served.failure is None and not served.more:
            self._due.done(route.host)
        return served


def _failed(served: list[Served]) -> Outcome | None:
    return next((one.failure for one in served if one.failure is not None), None)
