"""Rows of our own videos: registered, changed, and followers told in the same transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select, update

from foundation.clock import Clock
from foundation.database import Transaction, upsert
from foundation.errors import Refused
from views.model import Privacy, Video, VideoDraft
from views.ports import Announcer
from views.rows import COLUMNS, draft_values, video_of
from views.tables import videos


class OwnVideos:
    """``local_url`` makes the global id of a video of ours from its UUID; ``local_origin`` is our authority."""

    def __init__(self, announcer: Announcer, clock: Clock, local_url: Callable[[str], str], local_origin: str) -> None:
        self._announcer = announcer
        self._clock = clock
        self._local_url = local_url
        self._local_origin = local_origin

    async def put(self, tx: Transaction, draft: VideoDraft) -> tuple[Video, Video | None] | Refused:
        """The video as it stands now, and as it was; the same twice: nothing changed. Refused: ``uuid_taken``."""
        created = await self._insert(tx, draft)
        if created is not None:
            if created.federated:
                await self._announcer.video_published(tx, created)
            return created, None
        stored = select(*COLUMNS).where(videos.c.uuid == draft.uuid).with_for_update()
        row = (await tx.execute(stored)).one_or_none()
        if row is None or not row.local:
            return Refused("uuid_taken", "this uuid belongs to a video of another instance", 409)
        before = video_of(row)
        changes = {name: value for name, value in draft_values(draft).items() if value != _plain(before, name)}
        if not changes:
            return before, before
        now_ms = self._clock.now_ms()
        changes["updated_ms"] = max(now_ms, before.updated_ms + 1)
        if draft.privacy is not Privacy.PRIVATE:
            # What is told now carries the counted total as it stands.
            changes |= {"views_announced": videos.c.views, "announced_ms": now_ms}
        changing = update(videos).where(videos.c.number == before.number).values(changes).returning(*COLUMNS)
        video = video_of((await tx.execute(changing)).one())
        await self._tell_change(tx, before, video)
        return video, before

    async def _insert(self, tx: Transaction, draft: VideoDraft) -> Video | None:
        """None when the UUID is known already."""
        now_ms = self._clock.now_ms()
        values = {
            "uuid": draft.uuid,
            "url": self._local_url(draft.uuid),
            "origin": self._local_origin,
            "local": True,
            "published_ms": now_ms,
            "updated_ms": now_ms,
            "refreshed_ms": now_ms,
        }
        known = await tx.execute(select(videos.c.number).where(videos.c.uuid == draft.uuid))
        if known.one_or_none() is not None:
            return None
        statement = upsert(tx, videos).values(values | draft_values(draft)).on_conflict_do_nothing()
        row = (await tx.execute(statement.returning(*COLUMNS))).one_or_none()
        return None if row is None else video_of(row)

    async def _tell_change(self, tx: Transaction, before: Video, video: Video) -> None:
        if not video.federated:
            if before.federated:
                await self._announcer.video_deleted(tx, before)
        elif not before.federated or (video.privacy is Privacy.PUBLIC and before.privacy is not Privacy.PUBLIC):
            await self._announcer.video_published(tx, video)
        else:
            await self._announcer.video_updated(tx, video)


def _plain(video: Video, column: str) -> object:
    value = getattr(video, column)
    return value.value if isinstance(value, Privacy) else value
