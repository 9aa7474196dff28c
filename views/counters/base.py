"""What every store of live state promises; ``tests/contract/`` holds the suite each implementation passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Total:
    """What a remote origin last said about its video.

    ``order_ms`` orders totals (``published`` where sent, else the signed date). ``ours`` is Y of the number shown: how
    many viewers of ours the count contains, fixed when the total arrived. ``granted_ms`` is the life it was given
    (``expires_ms`` minus the arrival): a quarter of it is the grace in which a late next total is awaited.
    """

    count: int
    expires_ms: int
    order_ms: int
    ours: int
    granted_ms: int = 0

    @property
    def fresh_until_ms(self) -> int:
        """End of the grace; from this instant on the total is not shown and stores no longer return it."""
        return self.expires_ms + max(0, self.granted_ms) // 4


MAX_TOTALS_OF_ONE_INSTANT = 16
"""Totals of one video and one ``order_ms`` that are told apart; further ones wait for the next instant."""


@dataclass(frozen=True, slots=True)
class TotalMark:
    """What is remembered of a total beyond its own life, so that captured messages do not bring back what was.

    ``until_ms``: from then on no message as old as it is fresh enough to be believed. ``fingerprint``: 16 hexadecimal
    digits of what was said, the same for the same message.
    """

    until_ms: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class MarkedTotal:
    """What is remembered of a video's newest total until ``until_ms``: its order, and the fingerprints of all of that
    order (``MAX_TOTALS_OF_ONE_INSTANT`` at most), in order of arrival."""

    order_ms: int
    until_ms: int
    seen: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What an origin knows of one viewer of ours: which life it was told, and when it acknowledged that.

    ``since_ms`` is the beginning of the stay, ``acked_ms`` is 0 while the origin has not acknowledged.
    """

    viewer: bytes
    since_ms: int
    told_expires_ms: int
    acked_ms: int


@dataclass(frozen=True, slots=True)
class Reading:
    """Live state of one video at one instant: nothing in it has expired.

    ``local`` viewers of ours, ``peers`` viewers per source host (origin of a remote video included: viewers it sent
    one by one, protocol v1), ``total`` what the origin of a remote video says, while that is fresh.
    """

    local: int
    peers: dict[str, int]
    total: Total | None


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be told, or was told, of one stay of one viewer: its begin, the life told, and from when on it is
    worth telling again."""

    since_ms: int
    expires_ms: int
    resend_at_ms: int


class TellClaims(Protocol):
    """Where several processes hear of the same viewer: which of them tells its origin, and since when it is here."""

    async def claim_tell(self, video: int, viewer: bytes, telling: Telling, now_ms: int) -> tuple[bool, Telling]:
        """Whether this tell goes out, and what holds of the viewer now. It does not when another process told as much,
        or told so lately that it is not worth telling again. A stay that others know keeps its begin. Atomic."""


TOLD_MEMORY_MS = 30_000
"""How long after its end a told life can still be asked for: longer than a total travels."""


class CounterStore(Protocol):
    """Live viewers per (video number, source) and origin totals per video.

    ``viewer`` is a 16-byte key. ``source`` is ``model.LOCAL`` or a peer's host. Every instant is Unix milliseconds and
    comes from the caller. Expired entries are never visible, whether swept or not.
    """

    async def touch(self, video: int, source: str, viewer: bytes, expires_ms: int, now_ms: int) -> bool:
        """Add the viewer or extend its life (never shorten it); True when it was not here before and is now.

        Raises StorageUnavailable when the store is full (``max_viewers``) and the viewer is new.
        """

    async def has(self, video: int, source: str, viewer: bytes, now_ms: int) -> bool: ...

    async def leave(self, video: int, source: str, viewer: bytes, now_ms: int) -> bool:
        """The viewer is gone now; True when it was here."""

    async def put_total(self, video: int, total: Total, now_ms: int, mark: TotalMark | None = None) -> bool:
        """Keep the total unless a later one (by ``order_ms``; a tie goes to the later arrival) is known or it is over.

        A later one is known until its mark's end, even when it is over. Of a tie, one that came before and was followed
        by another does not come back.

        Viewers that the origin sent one by one before it are dropped; those sent while it is fresh are kept, and read
        only once it no longer is.
        """

    async def told(self, video: int, now_ms: int) -> Sequence[Told]:
        """What the origin was told of viewers of ours and has not ended at ``now_ms``, left viewers included.

        Up to two entries per viewer (the last two acknowledged tells): an origin that appends counts them both.
        ``now_ms`` may lie up to ``TOLD_MEMORY_MS`` in the past, so that a total can be judged by the instant at which
        it was signed.
        """

    async def mark_told(self, video: int, told: Told) -> None:
        """Remember a tell. It replaces the newest one kept of that viewer when that was never acknowledged or told the
        same life, else the older of the two."""

    async def told_videos(self) -> Sequence[int]:
        """Numbers of the videos of which anything is told."""

    async def read(self, video: int, now_ms: int) -> Reading: ...

    async def read_many(self, videos: Sequence[int], now_ms: int) -> Sequence[Reading]: ...

    async def watched(self, now_ms: int) -> Sequence[int]:
        """Numbers of videos with any live entry."""

    async def sweep(self, now_ms: int) -> Sequence[int]:
        """Forget what expired, in time proportional to it; the numbers of videos whose viewers or total ended since
        the last sweep, whoever noticed first."""

    def departed(self) -> Sequence[tuple[int, bytes]]:
        """(video, viewer) of the viewers of ours whose lives were found to have ended since the last call, for a store
        that was made to keep them. Each ends once, at the process that swept it. Who left by ``leave`` or was forgotten
        is not among them; who came back meanwhile may be."""

    async def forget_source(self, source: str) -> None:
        """Drop every viewer of a peer (it was blocked)."""

    async def forget_video(self, video: int) -> None: ...

    async def claim_view(self, video: int, viewer: bytes, until_ms: int, now_ms: int) -> bool:
        """Take the right to count this viewer's view until ``until_ms``; False when already taken. Atomic.

        Returns when that is as safe from the end of the process as the store makes anything.
        """

    async def release_view(self, video: int, viewer: bytes) -> None:
        """Give the right back (counting failed)."""

    async def close(self) -> None: ...
