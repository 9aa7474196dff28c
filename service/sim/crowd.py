"""People who come, watch one video after another, and go."""

from __future__ import annotations

import dataclasses
import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

from service.sim.instance import Fediviews
from service.sim.peertube import PeerTube
from views.model import Video

HEARTBEAT_MS = 10_000
STAY_MS = (20_000, 400_000)
AWAY_MS = 30_000

Instance = Fediviews | PeerTube


@dataclass(slots=True)
class _Person:
    name: str
    instance: Instance
    video: Video
    until_ms: int
    here: bool = False


class Crowd:
    """Each person watches one video after another on one instance, a report every ten seconds."""

    def __init__(self, people: int, instances: Sequence[Instance], videos: Sequence[Video], chance: random.Random):
        self._instances, self._videos, self._chance = instances, videos, chance
        self.staying = False
        self.present: dict[str, int] = {video.url: 0 for video in videos}
        self.watched_ms = 0
        self._visits = 0
        self._agenda: list[tuple[int, int, _Person]] = []
        for number in range(people):
            heapq.heappush(self._agenda, (chance.randint(0, 2 * AWAY_MS), number, self._person(0)))

    def _person(self, now_ms: int) -> _Person:
        self._visits += 1
        instance, video = self._chance.choice(self._instances), self._chance.choice(self._videos)
        return _Person(f"viewer-{self._visits}", instance, video, now_ms + self._chance.randint(*STAY_MS))

    async def step(self, now_ms: int) -> None:
        while self._agenda and self._agenda[0][0] <= now_ms:
            at_ms, number, person = heapq.heappop(self._agenda)
            if person.here and not self.staying and at_ms >= person.until_ms:
                await person.instance.leave(seen_by(person.instance.host, person.video), person.name)
                self.present[person.video.url] -= 1
                away_ms = self._chance.randint(0, 2 * AWAY_MS)
                heapq.heappush(self._agenda, (at_ms + away_ms, number, self._person(at_ms + away_ms)))
                continue
            if not person.here:
                if self.staying:
                    continue
                person.here = True
                self.present[person.video.url] += 1
            await person.instance.watch(seen_by(person.instance.host, person.video), person.name)
            self.watched_ms += HEARTBEAT_MS
            heapq.heappush(self._agenda, (at_ms + HEARTBEAT_MS, number, person))


def seen_by(host: str, video: Video) -> Video:
    return dataclasses.replace(video, local=video.origin == host)
