"""What this process reads anew because other processes of the instance may have changed it."""

from __future__ import annotations

from service.building.house import House
from service.building.views_tower import VIDEO_NEWS
from service.tasks import Task
from service.web.live_push import LivePush

PEER_NEWS = "peers"
"""Topic of changed follows and verdicts."""
KEY_NEWS = "keys"
"""Topic of others' keys: until when (wall time, ms) what was fetched of one is gone or replaced, and its name."""
LISTENED_MS = 1_000
ELSEWHERE_MS = 60_000
SHARED_MS = 5_000
REMEMBERED_MS = 15_000
"""How long what another process changed may go unnoticed when its news was lost."""


class ChangesElsewhere:
    """Nothing to do for a process that is alone."""

    def __init__(self, house: House, push: LivePush) -> None:
        self._house = house
        self._push = push

    def listen(self) -> None:
        """To be called before news start."""
        house = self._house
        if house.ground.together.store is None:
            return
        news, peers, catalog = house.ground.together.news, house.federation.peers, house.views.catalog

        async def video_changed(key: str) -> None:
            number = int(key) if key else None
            catalog.forget_number(number)
            await self._push.look_again(number)

        async def peers_changed(_: str) -> None:
            await peers.verdicts.refresh()
            await peers.refresh_follows()

        keys = house.federation.remote_keys

        async def key_changed(key: str) -> None:
            # What was missed is seen in the database: see `federation.kept_keys.KeptKeys.save`.
            until_ms, _, name = key.partition(" ")
            if name:
                keys.moved_elsewhere(name, int(until_ms))

        news.hear(KEY_NEWS, key_changed)
        keys.moved_here(lambda name, until_ms: news.tell(KEY_NEWS, f"{until_ms} {name}"))
        news.hear(VIDEO_NEWS, video_changed)
        news.hear(PEER_NEWS, peers_changed)
        peers.moved_here(lambda: news.tell(PEER_NEWS, "-"))

    def tasks(self) -> list[Task]:
        house = self._house
        if house.ground.together.store is None:
            return []

        async def forget_old_videos() -> None:
            house.views.catalog.forget_old()

        return [
            Task("look at numbers that are listened to", self._push.look, LISTENED_MS),
            Task("read videos anew", forget_old_videos, REMEMBERED_MS),
            Task("look whom others cannot reach", house.outlet.elsewhere.look, ELSEWHERE_MS),
            Task("share what is known of peers", house.federation.peers.share, SHARED_MS),
            Task("read follows anew", house.federation.peers.refresh_follows, REMEMBERED_MS),
        ]
