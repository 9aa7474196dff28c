"""Helpers for tests that need a catalog: an announcer that remembers, drafts and remote videos."""

from __future__ import annotations

from typing import Any

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import Refused
from views.catalog.catalog import Catalog, CatalogBounds
from views.model import Privacy, RemoteVideo, Video, VideoDraft
from views.ports import Announcer, NullAnnouncer

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
REMOTE_UUID = "a44521d0-0fb8-4ade-8002-3385545c3318"
ORIGIN = "here.example"


class RecordingAnnouncer(NullAnnouncer):
    """Keeps what it was told, as (event, uuid); works that are run again are heard again."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.moved: list[Video] = []
        self.view_ids: list[str] = []
        self.commits = 0

    def take(self) -> list[str]:
        """The events since the last time."""
        events, self.events = [event for event, _ in self.events], []
        return events

    async def view_counted(self, tx: Transaction, video: Video, view_id: str, at_ms: int) -> None:
        self.view_ids.append(view_id)
        self.events.append(("counted", video.uuid))

    async def views_moved(self, tx: Transaction, video: Video) -> None:
        self.moved.append(video)
        self.events.append(("moved", video.uuid))

    async def video_published(self, tx: Transaction, video: Video) -> None:
        self.events.append(("published", video.uuid))

    async def video_updated(self, tx: Transaction, video: Video) -> None:
        self.events.append(("updated", video.uuid))

    async def video_deleted(self, tx: Transaction, video: Video) -> None:
        self.events.append(("deleted", video.uuid))

    def committed(self) -> None:
        self.commits += 1


def make_catalog(
    db: Database, clock: ManualClock, announcer: Announcer | None = None, bounds: CatalogBounds | None = None
) -> Catalog:
    return Catalog(
        db,
        announcer or NullAnnouncer(),
        clock,
        lambda uuid: f"https://{ORIGIN}/videos/watch/{uuid}",
        ORIGIN,
        bounds,
    )


def draft(**changes: Any) -> VideoDraft:
    values: dict[str, Any] = {"uuid": UUID, "name": "Big Buck Bunny", "duration_s": 596}
    return VideoDraft(**(values | changes))


def remote(**changes: Any) -> RemoteVideo:
    values: dict[str, Any] = {
        "uuid": REMOTE_UUID,
        "url": f"https://there.example/videos/watch/{changes.get('uuid', REMOTE_UUID)}",
        "origin": "there.example",
        "name": "Sintel",
        "duration_s": 888,
        "is_live": False,
        "channel": "films",
        "owner": "https://there.example/accounts/root",
        "privacy": Privacy.PUBLIC,
        "published_ms": 1_700_000_000_000,
        "updated_ms": 1_700_000_000_000,
        "views": 12,
    }
    return RemoteVideo(**(values | changes))


async def a_local(catalog: Catalog, **changes: Any) -> Video:
    verdict = await catalog.put_local(draft(**changes))
    assert not isinstance(verdict, Refused), verdict
    return verdict[0]


async def a_remote(catalog: Catalog, **changes: Any) -> Video:
    verdict = await catalog.put_remote(remote(**changes))
    assert isinstance(verdict, Video), verdict
    return verdict
