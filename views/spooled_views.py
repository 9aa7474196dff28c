"""Counted views on their way through the spool: what they look like there, and what is left of them when it is read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select

from foundation.database import Transaction
from views.rows import COLUMNS, video_of
from views.tables import videos
from views.tallies import CountedView

KIND = "view"


class _Said(msgspec.Struct, frozen=True, array_like=True):
    """``uuid`` is the video's, to be sure that ``number`` still means it."""

    number: int
    uuid: str
    at_ms: int
    view_id: str
    activity: bytes | None
    source: str


_decoder = msgspec.msgpack.Decoder(_Said)


def spooled(view: CountedView) -> bytes:
    """A view as an entry of the spool."""
    said = _Said(view.video.number, view.video.uuid, view.at_ms, view.view_id, view.activity, view.source)
    return msgspec.msgpack.encode(said)


async def read_back(tx: Transaction, payloads: Sequence[bytes]) -> list[CountedView]:
    """The views of videos that are still here; those of peers only while others may know of the video."""
    said = [_decoder.decode(payload) for payload in payloads]
    asked = select(*COLUMNS).where(videos.c.number.in_(sorted({each.number for each in said})))
    here = {row.uuid: video_of(row) for row in await tx.execute(asked)}
    return [
        CountedView(video, each.at_ms, each.view_id, each.activity, each.source)
        for each in said
        if (video := here.get(each.uuid)) is not None and (video.federated or each.activity is None)
    ]
