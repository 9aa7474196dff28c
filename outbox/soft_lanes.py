"""Soft state of one peer: viewers of ours for an origin, totals for a follower. Valued at sending, never late."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from federation.vocabulary import PUBLIC
from federation.vocabulary.build import encode, view_total, view_viewer
from foundation.clock import Clock
from foundation.errors import Refused
from outbox.bodies import Outgoing
from outbox.cadence import Due
from outbox.inboxes import InboxDirectory
from outbox.lanes import Courier, Served, without_inbox
from outbox.posting import Outcome
from outbox.retry import Meaning
from outbox.routing import Route
from outbox.tells import TellBox
from outbox.totals import Board
from views.model import Video
from views.ports import Tell
from views.shown import Shown

PER_ROUND = 500


class Numbers(Protocol):
    """As `views.viewers.Viewers.shown_many`: what is shown now, one per video, in the same order."""

    async def __call__(self, videos: Sequence[Video]) -> Sequence[Shown]: ...


VideoOf = Callable[[int], Awaitable[Video | None]]
"""A video by its number (``Catalog.by_number``)."""

Told = Callable[[Tell, int], Awaitable[None]]
"""Told a tell and the Unix milliseconds at which its origin acknowledged it."""


class TellLane:
    """Tells origins about viewers of ours.

    ``written`` waits until the names they are told under outlive the process: after a kill the same viewer under a new
    name would be two there.
    """

    def __init__(
        self,
        *,
        actor: str,
        slots: TellBox,
        courier: Courier,
        directory: InboxDirectory,
        told: Told,
        clock: Clock,
        written: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._actor = actor
        self._slots = slots
        self._written = written
        self._courier = courier
        self._directory = directory
        self._told = told
        self._clock = clock

    async def serve(self, route: Route) -> Served:
        """Deliver up to `PER_ROUND` slots; what cannot be delivered now returns to its slot."""
        now_ms = self._clock.now_ms()
        tells, expired = self._slots.take(route.host, PER_ROUND, now_ms)
        if expired:
            self._courier.dropped.labels("viewer", "expired").inc(expired)
        outgoing: list[Outgoing[Tell]] = []
        for position, tell in enumerate(tells):
            one = await self._outgoing(route, tell, now_ms)
            if isinstance(one, Outgoing):
                outgoing.append(one)
            elif one.meaning is Meaning.LATER:
                self._slots.give_back([each.item for each in outgoing] + tells[position:])
                return Served(failure=one)
            else:
                self._courier.dropped.labels("viewer", one.reason).inc()
                await self._slots.settle([tell])
        if outgoing and self._written is not None:
            await self._written()
        return await self._send(route, outgoing)

    async def _outgoing(self, route: Route, tell: Tell, now_ms: int) -> Outgoing[Tell] | Outcome:
        inbox = await self._directory.shared_inbox(tell.video.owner)
        if isinstance(inbox, Refused):
            return without_inbox(inbox)
        view = view_viewer(
            actor=self._actor,
            number=tell.video.number,
            wire_id=tell.wire_id,
            video=tell.video.url,
            to=[tell.video.owner],
            expires_ms=tell.expires_ms + route.clock_ahead_ms,
            published_ms=now_ms,
        )
        return Outgoing(self._actor, inbox, encode(view), tell)

    async def _send(self, route: Route, outgoing: Sequence[Outgoing[Tell]]) -> Served:
        parcels = self._courier.pack(route, outgoing)
        for position, parcel in enumerate(parcels):
            outcome = await self._courier.deliver(route, parcel)
            if outcome.delivered:
                acked_ms = self._clock.now_ms()
                for tell in parcel.items:
                    await self._told(tell, acked_ms)
                await self._slots.settle(parcel.items)
                continue
            if outcome.meaning is Meaning.REFUSED and len(parcel.items) == 1:
                self._courier.dropped.labels("viewer", "refused").inc()
                await self._slots.settle(parcel.items)
                continue
            self._slots.give_back([tell for later in parcels[position:] for tell in later.items])
            if outcome.meaning is Meaning.REFUSED:
                self._courier.one_by_one(route.host)
                return Served(more=True)
            if outcome.meaning is Meaning.GONE:
                self._directory.forget(parcel.items[0].video.owner)
            return Served(failure=outcome)
        return Served(more=self._slots.has(route.host), sent=len(outgoing))


class TotalsLane:
    """Tells followers how many watch our videos."""

    def __init__(
        self,
        *,
        actor: str,
        board: Board,
        courier: Courier,
        numbers: Numbers,
        video_of: VideoOf,
        clock: Clock,
    ) -> None:
        self._actor = actor
        self._board = board
        self._courier = courier
        self._numbers = numbers
        self._video_of = video_of
        self._clock = clock

    async def serve(self, route: Route) -> Served:
        """Deliver what is due, at most `PER_ROUND` totals."""
        due = self._board.due(route.cadence, route.host)[:PER_ROUND]
        numbers = await self._read(due)
        outgoing = [self._outgoing(route, one, *numbers[one.video]) for one in due if one.video in numbers]
        for parcel in self._courier.pack(route, outgoing):
            outcome = await self._courier.deliver(route, parcel)
            if not outcome.delivered:
                if outcome.meaning is not Meaning.REFUSED:
                    return Served(failure=outcome)
                if len(parcel.items) > 1:
                    self._courier.one_by_one(route.host)
                    return Served(more=True)
                self._courier.dropped.labels("total", "refused").inc()
            self._board.delivered(route.cadence, route.host, parcel.items)
            await self._board.keep()
        return Served(more=self._board.is_due(route.cadence, route.host), sent=len(outgoing))

    async def _read(self, due: Sequence[Due]) -> dict[int, tuple[Video, Shown]]:
        """The totals as they stand now. Videos that are gone or private leave the board.

        The board does not hear them from here: changes come to it once per pulse, however often totals are sent.
        """
        videos: list[Video] = []
        for one in due:
            video = await self._video_of(one.video)
            if video is None or not video.local or not video.federated:
                self._board.forget_video(one.video)
            else:
                videos.append(video)
        numbers = await self._numbers(videos) if videos else ()
        return {video.number: (video, number) for video, number in zip(videos, numbers, strict=True)}

    def _outgoing(self, route: Route, due: Due, video: Video, number: Shown) -> Outgoing[Due]:
        self._board.sent(route.cadence, video.number, number.viewers)
        return Outgoing(self._actor, "", self._body(route, video, number), due)

    def _body(self, route: Route, video: Video, number: Shown) -> bytes:
        now_ms = self._clock.now_ms()
        return encode(
            view_total(
                actor=self._actor,
                number=video.number,
                video_uuid=video.uuid,
                video=video.url,
                to=[PUBLIC, f"{self._actor}/followers"],
                total=number.viewers,
                expires_ms=now_ms + self._board.policy.expires_after_ms + route.clock_ahead_ms,
                published_ms=now_ms,
                yours=number.peers.get(route.host, 0) if route.yours else None,
            )
        )
