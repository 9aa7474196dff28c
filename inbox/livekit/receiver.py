"""``POST /livekit/webhook``: a LiveKit server's messages, believed when one of the configured keys vouches for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from foundation import problems
from foundation.body_token import CONTENT_TYPE, Vouched, verify
from foundation.clock import Clock
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.web import read_body
from inbox.livekit.messages import EVENTS, LivekitEvent, parse
from inbox.livekit.participants import Change, Participants
from inbox.livekit.presence import RoomPresence
from inbox.livekit.telling import RoomTelling
from views.model import Video

RETRY_AFTER_S = 5
_OF_PARTICIPANTS = frozenset(
    {
        "participant_joined",
        "participant_left",
        "participant_connection_aborted",
        "track_published",
        "track_unpublished",
    }
)
_OUTCOMES = ("applied", "duplicate", "late", "ignored", "unknown_room", "unknown_video", "full")


class LivekitReceiver:
    """``secrets`` by key; without any there is no LiveKit here. ``viewer_of`` makes a viewer's key of an identity.

    ``max_participants`` bounds who is remembered to be in rooms.
    """

    def __init__(
        self,
        *,
        secrets: Mapping[str, str],
        participants: Participants,
        presence: RoomPresence,
        telling: RoomTelling,
        viewer_of: Callable[[str], bytes],
        clock: Clock,
        metrics: Metrics,
        max_body_bytes: int,
        body_timeout_ms: int,
        max_participants: int,
    ) -> None:
        self._secrets = dict(secrets)
        self._participants = participants
        self._presence = presence
        self._telling = telling
        self._viewer_of = viewer_of
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._body_timeout_ms = body_timeout_ms
        self._max_participants = max_participants
        self._taken = metrics.counter(
            "fediviews_livekit_events_total", "Messages of LiveKit servers by what came of them", ["event", "outcome"]
        )
        self._refused = metrics.counter(
            "fediviews_livekit_refused_total", "Messages for LiveKit's webhook that were not believed", ["reason"]
        )

    def replace(self, secrets: Mapping[str, str]) -> None:
        """Other keys from now on."""
        self._secrets = dict(secrets)

    async def receive(self, request: web.Request) -> web.Response:
        """200 with what came of it, also when that is nothing: LiveKit would say it again. 4xx: not believed. 503: a
        store is gone, say it again."""
        try:
            outcome = await self._receive(request)
        except StorageUnavailable:
            outcome = Refused("storage_unavailable", "try again later", 503, RETRY_AFTER_S)
        if isinstance(outcome, Refused):
            self._refused.labels(outcome.reason).inc()
            return problems.refused(outcome)
        return web.json_response({"outcome": outcome})

    async def _receive(self, request: web.Request) -> str | Refused:
        if not self._secrets:
            return Refused("no_livekit", "no LiveKit server is configured here", 404)
        if request.content_type not in (CONTENT_TYPE, "application/json"):
            return Refused("content_type", f"send {CONTENT_TYPE}", 415)
        tokens = request.headers.getall("Authorization", [])
        if len(tokens) != 1:
            return Refused("webhook_unsigned", "no token, or several", 401)
        body = await read_body(request, self._max_body_bytes, deadline_ms=self._body_timeout_ms)
        if isinstance(body, Refused):
            return body
        vouched = verify(tokens[0], body, self._secrets, self._clock.now_ms())
        if isinstance(vouched, Refused):
            return vouched
        event = parse(body)
        if isinstance(event, Refused):
            return event
        outcome = await self._take(event, vouched)
        if isinstance(outcome, str):
            self._taken.labels(event.event if event.event in EVENTS else "other", outcome).inc()
        return outcome

    async def _take(self, event: LivekitEvent, vouched: Vouched) -> str | Refused:
        if event.egress is not None or event.ingress is not None:
            return await self._of_streams(event, vouched)
        if event.event not in EVENTS:
            return "ignored"
        if event.room is None or (event.event in _OF_PARTICIPANTS and event.participant is None):
            return Refused("bad_webhook", "it names no room, or no participant", 400)
        if not self._presence.configured(event.room.name):
            return "unknown_room"
        video = await self._presence.video(event.room.name)
        if video is None:
            return "unknown_video"
        if event.event == "participant_joined" and self._presence.known >= self._max_participants:
            return "full"
        change = await self._applied(event, vouched)
        if change.duplicate:
            return "duplicate"
        await self._presence.applied(change)
        if change.late:
            return "late"
        self._telling.tell(event, video, self._viewer(event), change)
        return "applied"

    async def _of_streams(self, event: LivekitEvent, vouched: Vouched) -> str:
        """Recordings and streams in: for telemetry alone."""
        info = event.egress or event.ingress
        video: Video | None = None if info is None else await self._presence.video(info.room)
        change = await self._applied(event, vouched)
        if change.duplicate:
            return "duplicate"
        self._telling.tell_stream(event, video)
        return "applied"

    async def _applied(self, event: LivekitEvent, vouched: Vouched) -> Change:
        return await self._participants.apply(event, self._viewer(event), self._clock.now_ms(), vouched.until_ms)

    def _viewer(self, event: LivekitEvent) -> bytes:
        participant = event.participant
        return b"" if participant is None else self._viewer_of(participant.identity or participant.sid)


def setup_routes(router: web.UrlDispatcher, receiver: LivekitReceiver) -> None:
    router.add_post("/livekit/webhook", receiver.receive)
