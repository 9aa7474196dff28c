"""A row of ``videos`` and the Video it stands for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Row

from views.model import Privacy, RemoteVideo, Video, VideoDraft
from views.tables import videos

COLUMNS: tuple[Column[Any], ...] = (
    videos.c.number,
    videos.c.uuid,
    videos.c.url,
    videos.c.origin,
    videos.c.local,
    videos.c.name,
    videos.c.duration_s,
    videos.c.is_live,
    videos.c.channel,
    videos.c.privacy,
    videos.c.published_ms,
    videos.c.updated_ms,
    videos.c.views,
    videos.c.owner,
    videos.c.page_url,
    videos.c.description,
)
"""What ``video_of`` needs, in its order; for SELECT and RETURNING."""


def video_of(row: Row[Any]) -> Video:
    return Video(
        number=row.number,
        uuid=row.uuid,
        url=row.url,
        origin=row.origin,
        local=row.local,
        name=row.name,
        duration_s=row.duration_s,
        is_live=row.is_live,
        channel=row.channel,
        privacy=Privacy(row.privacy),
        published_ms=row.published_ms,
        updated_ms=row.updated_ms,
        views=row.views,
        owner=row.owner,
        page_url=row.page_url,
        description=row.description,
    )


def draft_values(draft: VideoDraft) -> dict[str, Any]:
    """The columns that a host application decides; ``published_ms`` only where it says so."""
    values: dict[str, Any] = {
        "name": draft.name,
        "duration_s": draft.duration_s,
        "is_live": draft.is_live,
        "channel": draft.channel,
        "privacy": draft.privacy.value,
        "page_url": draft.page_url,
        "description": draft.description,
    }
    if draft.published_ms is not None:
        values["published_ms"] = draft.published_ms
    return values


def remote_values(remote: RemoteVideo) -> dict[str, Any]:
    """The columns that a remote origin decides."""
    return {
        "origin": remote.origin,
        "name": remote.name,
        "duration_s": remote.duration_s,
        "is_live": remote.is_live,
        "channel": remote.channel,
        "owner": remote.owner,
        "privacy": remote.privacy.value,
        "published_ms": remote.published_ms,
        "updated_ms": remote.updated_ms,
        "views": remote.views,
        "page_url": remote.page_url,
        "description": remote.description,
    }
