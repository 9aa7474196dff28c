"""Which parts of a video one viewer has seen, and for how long. Pure: the instant comes as an argument.

Two ways to reckon watch time:

``STRICT``  playing on is worth what was played, but never more than the wall time since the last report times the
            playback rate, plus a slack that is given once and refills only out of time that was not claimed. So the
            total is at most (wall time since the first report) x rate + slack, whatever a client says. A claim beyond
            that is cut, and the rest is taken for a jump.
``PEERTUBE``  PeerTube 6.3's sum of (end - start) over the sections as reported; wall time means nothing, and an end may
            move back inside its section.

In both, going over something again counts again, while the sections kept are merged where they touch.
"""

from __future__ import annotations

import enum
import struct
from bisect import bisect_left
from dataclasses import dataclass

MAX_SECTIONS = 100
"""As PeerTube's MAX_LOCAL_VIEWER_WATCH_SECTIONS, but of merged sections, and reaching it stops nobody from counting."""

_MAX_U32 = 2**32 - 1

MAX_POSITION_S = 2**31 - 1
"""The latest position a report may name: what an SQL integer holds."""

Section = tuple[int, int]
"""From second to second of the video, both included."""


class Arithmetic(enum.Enum):
    """``views.watch_time`` of the configuration."""

    STRICT = "strict"
    PEERTUBE = "peertube"


@dataclass(frozen=True, slots=True)
class Rules:
    """How watch time is reckoned. ``rate`` is the fastest playback believed (PeerTube's player offers up to 2)."""

    arithmetic: Arithmetic = Arithmetic.STRICT
    rate: float = 2.0
    slack_ms: int = 5_000


class Progress:
    """One viewer's way through one video. Compact and mutable: there is one per live viewer.

    ``first_ms``, ``last_ms``  wall clock of the first and the newest report.
    ``start_s``, ``end_s``     the open section.
    ``closed_watch_s``         watch time of all sections but the open one.
    ``closed``                 those sections: sorted, merged where they touch, none empty.
    ``credit_ms``              slack left (STRICT).
    ``still_ms``               how long the position has been the same.
    ``next_view_ms``           before this instant no view of this viewer can be counted: nothing needs to be asked.
    ``traits``                 what is known of the viewer (``stats.traits``), packed: a report never looks into it.
    """

    __slots__ = (
        "closed",
        "closed_watch_s",
        "credit_ms",
        "end_s",
        "first_ms",
        "last_ms",
        "next_view_ms",
        "start_s",
        "still_ms",
        "traits",
    )

    def __init__(self, first_ms: int, position_s: int, credit_ms: int) -> None:
        self.first_ms = first_ms
        self.last_ms = first_ms
        self.closed_watch_s = 0
        self.start_s = position_s
        self.end_s = position_s
        self.closed: list[Section] = []
        self.credit_ms = credit_ms
        self.still_ms = 0
        self.next_view_ms = 0
        self.traits = b""

    @property
    def watch_time_s(self) -> int:
        """Seconds watched so far, going over something again included."""
        return self.closed_watch_s + self.end_s - self.start_s

    def sections(self) -> list[Section]:
        """Everything seen: sorted, merged, no empty section."""
        seen = list(self.closed)
        _insert(seen, (self.start_s, self.end_s))
        return seen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Progress) and encode(self) == encode(other)

    __hash__ = None  # type: ignore[assignment]  # mutable


def begin(position_s: int, now_ms: int, rules: Rules) -> Progress:
    """The first report of a viewer: an empty section where it stands, no watch time."""
    return Progress(now_ms, position_s, rules.slack_ms)


def report(progress: Progress, position_s: int, seek: bool, now_ms: int, rules: Rules) -> int:
    """The viewer is at ``position_s`` now; ``seek``: it jumped there. Returns its whole watch time in seconds.

    A clock that was set back counts as no time passed and takes the record along: nobody waits until it has caught up.
    """
    elapsed_ms = now_ms - progress.last_ms
    if elapsed_ms < 0:
        progress.first_ms = max(0, progress.first_ms + elapsed_ms)
        elapsed_ms = 0
    progress.last_ms = now_ms
    # A jump to where it stood is none.
    still = position_s == progress.end_s
    progress.still_ms = min(progress.still_ms + elapsed_ms, _MAX_U32) if still else 0
    if rules.arithmetic is Arithmetic.PEERTUBE:
        if seek or position_s < progress.start_s:
            _open_at(progress, position_s)
        else:
            progress.end_s = position_s
        return progress.watch_time_s
    allowance_ms = progress.credit_ms + int(elapsed_ms * rules.rate)
    claimed_s = position_s - progress.end_s
    gain_s = 0
    if seek or claimed_s < 0:
        _open_at(progress, position_s)
    else:
        gain_s = min(claimed_s, allowance_ms // 1000)
        progress.end_s += gain_s
        if gain_s < claimed_s:
            _open_at(progress, position_s)
    progress.credit_ms = min(rules.slack_ms, allowance_ms - gain_s * 1000)
    return progress.watch_time_s


def plays(progress: Progress, is_live: bool) -> bool:
    """Does the viewer play, as far as reports prove it: its position moved. Some players have none in a live stream;
    there, who reports again plays."""
    return progress.watch_time_s > 0 or (is_live and progress.last_ms > progress.first_ms)


def _open_at(progress: Progress, position_s: int) -> None:
    progress.closed_watch_s += progress.end_s - progress.start_s
    _insert(progress.closed, (progress.start_s, progress.end_s))
    progress.start_s = progress.end_s = position_s


def _insert(sections: list[Section], section: Section) -> None:
    """Put a section among sorted ones, merged with those it touches, and keep their number bounded."""
    start, end = section
    if start >= end:
        return
    first = bisect_left(sections, start, key=lambda each: each[1])
    last = first
    while last < len(sections) and sections[last][0] <= end:
        last += 1
    if last > first:
        start = min(start, sections[first][0])
        end = max(end, sections[last - 1][1])
    sections[first:last] = [(start, end)]
    if len(sections) >= MAX_SECTIONS:
        _close_smallest_gap(sections)


def _close_smallest_gap(sections: list[Section]) -> None:
    """Beyond the bound the two nearest neighbours become one: the least that can be got wrong."""
    index = min(range(len(sections) - 1), key=lambda each: sections[each + 1][0] - sections[each][1])
    sections[index : index + 2] = [(sections[index][0], sections[index + 1][1])]


_VERSION = 2
_HEAD = struct.Struct("<BQQQIIIIII")
_LAST = struct.Struct("<Q")
_LAST_AT = 9
_END = struct.Struct("<II")
_END_AT = 33
_SECTION = struct.Struct("<II")
_TRAITS = struct.Struct("<H")


def encode(progress: Progress) -> bytes:
    """49 bytes, 8 more per closed section, and the traits where known: little-endian, a version byte first."""
    head = _HEAD.pack(
        _VERSION,
        progress.first_ms,
        progress.last_ms,
        progress.next_view_ms,
        min(progress.closed_watch_s, _MAX_U32),
        progress.start_s,
        progress.end_s,
        progress.still_ms,
        progress.credit_ms,
        len(progress.closed),
    )
    if progress.closed:
        head += b"".join([_SECTION.pack(start, end) for start, end in progress.closed])
    if progress.traits:
        return head + _TRAITS.pack(len(progress.traits)) + progress.traits
    return head


def still_for_ms(blob: bytes, position_s: int, now_ms: int) -> int:
    """For how long the viewer whose progress this is has stood where it stands now; 0 when it has moved.

    Looks at two numbers of the record: this is asked on every report.
    """
    if len(blob) < _HEAD.size or blob[0] != _VERSION:
        return 0
    end_s, still_ms = _END.unpack_from(blob, _END_AT)
    if end_s != position_s:
        return 0
    last_ms: int = _LAST.unpack_from(blob, _LAST_AT)[0]
    return int(still_ms) + max(0, now_ms - last_ms)


def decode(blob: bytes) -> Progress | None:
    """What `encode` wrote; None for anything else (another version, a torn record): such a viewer starts anew."""
    if len(blob) < _HEAD.size or blob[0] != _VERSION:
        return None
    _, first_ms, last_ms, next_view_ms, closed_watch_s, start_s, end_s, still_ms, credit_ms, count = _HEAD.unpack_from(
        blob
    )
    rest = _HEAD.size + count * _SECTION.size
    traits_at = rest + _TRAITS.size
    if len(blob) != rest and (len(blob) <= traits_at or len(blob) != traits_at + _TRAITS.unpack_from(blob, rest)[0]):
        return None
    if end_s < start_s or last_ms < first_ms:
        return None
    progress = Progress(first_ms, start_s, credit_ms)
    progress.last_ms = last_ms
    progress.next_view_ms = next_view_ms
    progress.closed_watch_s = closed_watch_s
    progress.end_s = end_s
    progress.still_ms = still_ms
    if count:
        progress.closed = list(_SECTION.iter_unpack(blob[_HEAD.size : rest]))
    if len(blob) > rest:
        progress.traits = blob[traits_at:]
    return progress
