"""LiveKit's rooms, built from the configuration."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from foundation.errors import StorageUnavailable
from inbox.livekit.participants import Participants
from inbox.livekit.presence import RoomPresence
from inbox.livekit.receiver import LivekitReceiver
from inbox.livekit.telling import RoomTelling
from service.building.ground import Ground
from service.building.views_tower import ViewsTower
from service.config import Config
from service.tasks import Task

PURGE_EVERY_MS = 600_000

log = logging.getLogger("fediviews.livekit")


@dataclass(frozen=True, slots=True)
class LivekitHouse:
    receiver: LivekitReceiver
    presence: RoomPresence

    async def start(self) -> None:
        """Whoever was in a room when the last run ended still is."""
        try:
            await self.presence.refresh()
        except StorageUnavailable as problem:
            log.warning("participants of LiveKit rooms are late: %s", problem)

    def tasks(self) -> list[Task]:
        return [
            Task("greet LiveKit participants", self.presence.greet, self.presence.greet_ms),
            Task("refresh LiveKit participants", self.presence.refresh, self.presence.period_ms),
            Task("forget LiveKit participants that left", self.presence.purge, PURGE_EVERY_MS, once=True),
        ]

    def replace(self, config: Config) -> None:
        self.receiver.replace(_secrets(config))
        self.presence.replace(_rooms(config))


LEASE = "livekit rooms"


def livekit_house(ground: Ground, views: ViewsTower) -> LivekitHouse:
    config, clock, metrics = ground.config, ground.clock, ground.metrics
    participants = Participants(ground.database, also_count=frozenset(word.value for word in config.livekit.also_count))
    presence = RoomPresence(
        participants,
        views.watching,
        views.catalog,
        clock,
        metrics,
        rooms=_rooms(config),
        participant_max_ms=config.livekit.participant_max_ms,
        viewer_lifetime_ms=config.views.viewer_lifetime_ms,
        may_refresh=lambda: ground.together.leases.holds(LEASE),
    )
    receiver = LivekitReceiver(
        secrets=_secrets(config),
        participants=participants,
        presence=presence,
        telling=RoomTelling(views.telemetry, views.names, clock),
        viewer_of=views.identity.from_user,
        clock=clock,
        metrics=metrics,
        max_body_bytes=config.listen.max_body_bytes,
        body_timeout_ms=config.listen.body_timeout_ms,
        max_participants=config.livekit.max_participants,
    )
    return LivekitHouse(receiver, presence)


def _secrets(config: Config) -> dict[str, str]:
    return {one.key: one.secret.reveal() for one in config.livekit.keys}


def _rooms(config: Config) -> dict[str, str]:
    return {one.room: one.video for one in config.livekit.rooms}
