"""Channels, as far as videos make them: a channel exists while a video of ours stands in it."""

from __future__ import annotations

from sqlalchemy import select

from foundation.database import Database
from views.model import Privacy
from views.tables import videos


async def is_federated_channel(db: Database, name: str) -> bool:
    """Whether a video of ours that others may know of stands in this channel."""
    statement = (
        select(videos.c.number)
        .where(videos.c.local.is_(True), videos.c.channel == name, videos.c.privacy != Privacy.PRIVATE.value)
        .limit(1)
    )
    async with db.read() as tx:
        return (await tx.execute(statement)).first() is not None
