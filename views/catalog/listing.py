"""Pages of the catalog, with PeerTube's parameters (``GET /api/v1/videos``: start, count, sort)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select

from foundation.database import Transaction
from foundation.errors import Refused
from views.model import Privacy, Video
from views.rows import COLUMNS, video_of
from views.tables import videos

MAX_COUNT = 100
"""PeerTube 6.3's largest page; 15 is its default."""

MAX_START = 2**53 - 1
MAX_SEARCH = 120
"""Characters of a search: as many as a name has."""

_SORTS = {
    "name": videos.c.name,
    "duration": videos.c.duration_s,
    "createdAt": videos.c.number,
    "publishedAt": videos.c.published_ms,
    "updatedAt": videos.c.updated_ms,
    "views": videos.c.views,
}


@dataclass(frozen=True, slots=True)
class VideoFilter:
    """None lets everything through. ``search``: part of a name or of a UUID, whatever its case."""

    local: bool | None = None
    is_live: bool | None = None
    channels: frozenset[str] | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class VideoPage:
    """``total`` counts every page."""

    total: int
    videos: Sequence[Video]


async def page_of(
    tx: Transaction, start: int, count: int, sort: str, filters: VideoFilter, *, include_private: bool
) -> VideoPage | Refused:
    """Only public videos, unless ``include_private`` (then all). Ties in ``sort`` fall in order of registration.

    ``sort`` is name, duration, createdAt, publishedAt, updatedAt or views, with ``-`` in front for the largest first.
    Refused (400): ``bad_start``, ``bad_count`` (1 to 100), ``bad_sort``.
    """
    column = _SORTS.get(sort.removeprefix("-"))
    if column is None:
        return Refused("bad_sort", "sort must be one of " + ", ".join(_SORTS) + ", with - in front to reverse it")
    if not 0 <= start <= MAX_START:
        return Refused("bad_start", "start must be 0 or more")
    if not 1 <= count <= MAX_COUNT:
        return Refused("bad_count", f"count must be between 1 and {MAX_COUNT}")
    conditions = _conditions(filters, include_private=include_private)
    order = (column.desc(), videos.c.number.desc()) if sort.startswith("-") else (column.asc(), videos.c.number.asc())
    total = (await tx.execute(select(func.count()).select_from(videos).where(*conditions))).scalar_one()
    rows = await tx.execute(select(*COLUMNS).where(*conditions).order_by(*order).offset(start).limit(count))
    return VideoPage(total, [video_of(row) for row in rows])


def _conditions(filters: VideoFilter, *, include_private: bool) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if not include_private:
        conditions.append(videos.c.privacy == Privacy.PUBLIC.value)
    if filters.local is not None:
        conditions.append(videos.c.local.is_(filters.local))
    if filters.is_live is not None:
        conditions.append(videos.c.is_live.is_(filters.is_live))
    if filters.channels is not None:
        conditions.append(videos.c.channel.in_(sorted(filters.channels)))
    if filters.search is not None:
        name, uuid = (column.icontains(filters.search, autoescape=True) for column in (videos.c.name, videos.c.uuid))
        conditions.append(or_(name, uuid))
    return conditions
