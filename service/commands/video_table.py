"""Videos and their statistics as people read them in a terminal. Pure.

Names come from other instances too: what would move a cursor or colour a terminal is not printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.commands.peer_table import plain, table

VIDEO_TITLES = ("VIDEO", "NAME", "FROM", "KIND", "PRIVACY", "VIEWERS", "VIEWS")
LISTED = 5
"""Names of each kind that ``stats_lines`` shows."""

_NAME_CHARS = 48


def video_lines(videos: Sequence[Mapping[str, Any]], width: int | None = None) -> list[str]:
    """``VIDEO`` is the short UUID, which every command and path takes."""
    return table(VIDEO_TITLES, [_video(video) for video in videos], width)


def stats_lines(
    video: Mapping[str, Any],
    viewers: Mapping[str, Any],
    overall: Mapping[str, Any],
    agents: Mapping[str, Any],
) -> list[str]:
    """Answers of the four paths about one video. Statistics are empty for a remote one: its origin keeps them."""
    rows = [
        ("video", f"{shown(video['name'])} ({video['shortUUID']}, {video['channel']['host']})"),
        ("watching now", f"{viewers['viewers']:,}{_made_of(viewers)}"),
        ("views", f"{video['views']:,}"),
    ]
    if overall:
        peak = f" at {overall['viewersPeakDate']}" if overall["viewersPeakDate"] else ""
        rows += [
            ("viewers so far", f"{overall['totalViewers']:,}"),
            ("most at once", f"{overall['viewersPeak']:,}{peak}"),
            ("watch time", f"{span(overall['totalWatchTime'])}, {span(overall['averageWatchTime'])} each"),
            ("countries", _top(overall["countries"], "isoCode")),
        ]
    if agents:
        rows += [("players", _top(agents["clients"], "name")), ("systems", _top(agents["operatingSystems"], "name"))]
    width = max(len(name) for name, _ in rows)
    return [f"{name.ljust(width)}  {value}" for name, value in rows]


def shown(text: str) -> str:
    """Cut, and without anything that is not a character to be seen."""
    seen = plain(text)
    return seen if len(seen) <= _NAME_CHARS else seen[: _NAME_CHARS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def span(seconds: int) -> str:
    """``1 h 02 min`` and the like."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _video(video: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        video["shortUUID"],
        shown(video["name"]),
        "here" if video["isLocal"] else video["channel"]["host"],
        "live" if video["isLive"] else span(video["duration"]),
        video["privacy"]["label"].lower(),
        f"{video['viewers']:,}",
        f"{video['views']:,}",
    )


def _made_of(viewers: Mapping[str, Any]) -> str:
    peers = viewers.get("peers", {})
    parts = [f"{viewers['local']:,} here"] if "local" in viewers else []
    parts += [f"{number:,} at {host}" for host, number in sorted(peers.items(), key=lambda each: -each[1])[:LISTED]]
    if len(peers) > LISTED:
        parts.append(f"{len(peers) - LISTED} more peers")
    if viewers.get("unverified"):
        parts.append(f"{viewers['unverified']:,} unverified beside them")
    return f" ({', '.join(parts)})" if parts else ""


def _top(shares: Sequence[Mapping[str, Any]], name: str) -> str:
    listed = ", ".join(f"{shown(share[name])} {share['viewers']:,}" for share in shares[:LISTED])
    return listed + (f", {len(shares) - LISTED} more" if len(shares) > LISTED else "") or "-"
