"""Where live state lies in Redis: which shard, under which hash tag; pure."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from foundation.redis.script import bases


class Keys:
    """``shards`` hash tags ``{0}`` … hold everything; a script gets the base of one and touches no other slot.

    A video is at home in one shard. Its viewers are spread over all shards by their ids once it is hot; view claims and
    watch progress, which grow with every report, always are. Every process of an instance has to use the same number.
    """

    def __init__(self, prefix: str, shards: int) -> None:
        self.shards = shards
        self.bases = bases(prefix, shards)
        """What every key of a shard begins with."""

    def home(self, video: int) -> int:
        return video % self.shards

    def spread(self, video: int, viewer: bytes) -> int:
        """The shard of one viewer of a hot video; for one in ``shards`` that is the home."""
        return (video + crc32(viewer)) % self.shards

    def by_home(self, videos: Iterable[int]) -> dict[int, list[int]]:
        """Shard -> its videos, in their order."""
        found: dict[int, list[int]] = {}
        for video in videos:
            found.setdefault(self.home(video), []).append(video)
        return found
