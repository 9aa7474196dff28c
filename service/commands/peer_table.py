"""Lists of the admin REST as people read them in a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from foundation.clock import parse_iso_ms

PEER_TITLES = (
    "HOST", "SOFTWARE", "WE FOLLOW", "FOLLOWS US", "VERDICT", "CLOCK", "QUEUE", "OLDEST", "ASIDE", "LAST OK", "BREAKER",
    "NEXT", "BATCH", "POSTS/H", "BYTES/H", "TROUBLE",
)  # fmt: skip
REFUSAL_TITLES = ("AT", "HOST", "REASON", "KIND", "REPLAY", "DETAIL")
UNDELIVERED_TITLES = ("HOST", "TYPE", "ABOUT", "REASON", "TRIES", "AGE", "NEXT", "ID")


def peer_lines(peers: Sequence[dict[str, Any]], now_ms: int, width: int | None = None) -> list[str]:
    """``QUEUE`` is activities, totals and viewers that wait; times are how long ago, or how long until."""
    return table(PEER_TITLES, [_peer(peer, now_ms) for peer in peers], width)


def undelivered_lines(found: Sequence[dict[str, Any]], now_ms: int, width: int | None = None) -> list[str]:
    rows = [
        (
            one["host"],
            one["type"],
            one["object"],
            one["reason"],
            str(one["attempts"]),
            since(one["createdAt"], now_ms),
            "set aside" if one["setAside"] else until(one["nextTry"], now_ms),
            one["id"],
        )
        for one in found
    ]
    return table(UNDELIVERED_TITLES, rows, width)


def refusal_lines(entries: Sequence[dict[str, Any]], width: int | None = None) -> list[str]:
    """What was not taken; ``REPLAY``: what was said is held, and can be judged again."""
    rows = [
        (
            one["at"],
            (one["host"] or "-") + ("" if one["verified"] else " (claimed)"),
            one["reason"],
            one["kind"] or "-",
            "yes" if one["replayable"] else "-",
            one["detail"] or "-",
        )
        for one in entries
    ]
    return table(REFUSAL_TITLES, rows, width)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """In columns; where these are wider than ``width`` (None: of a file or pipe), a paragraph for each row.

    Others said much of it: what would move a cursor or colour a terminal is not printed.
    """
    rows = [[plain(text) for text in row] for row in rows]
    widths = [max(len(row[column]) for row in [titles, *rows]) for column in range(len(titles))]
    if width is not None and rows and sum(widths) + 2 * len(widths) - 2 > width:
        return _paragraphs(titles, rows)
    lines = ("  ".join(text.ljust(room) for text, room in zip(row, widths, strict=True)) for row in [titles, *rows])
    return [line.rstrip() for line in lines]


def plain(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _paragraphs(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """What says nothing (``-``) is left out."""
    room = max(len(title) for title in titles[1:])
    lines = []
    for row in rows:
        lines.append(row[0])
        lines += [
            f"  {title.ljust(room)}  {text}" for title, text in zip(titles[1:], row[1:], strict=True) if text != "-"
        ]
        lines.append("")
    return lines[:-1]


def since(instant: str | None, now_ms: int) -> str:
    """How long ago an ISO instant was; ``-`` for none."""
    at_ms = None if instant is None else parse_iso_ms(instant)
    return "-" if at_ms is None else duration(max(0, now_ms - at_ms))


def until(instant: str | None, now_ms: int) -> str:
    """How long until an ISO instant; ``-`` for none."""
    at_ms = None if instant is None else parse_iso_ms(instant)
    return "-" if at_ms is None else duration(max(0, at_ms - now_ms))


def duration(duration_ms: int) -> str:
    """One number and its unit: 45s, 3m, 7h, 2d."""
    for unit, size_ms in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if duration_ms >= size_ms:
            return f"{duration_ms // size_ms}{unit}"
    return f"{duration_ms // 1_000}s"


def _peer(peer: dict[str, Any], now_ms: int) -> Sequence[str]:
    delivery = peer["delivery"]
    queue = (delivery["waiting"], delivery["totals"], delivery["viewers"])
    return (
        peer["host"],
        peer["software"] or "-",
        peer["following"] or "-",
        "yes" if peer["follower"] else "-",
        f"{peer['verdict']} ({peer['verdictBy']})" if peer["verdict"] else "-",
        f"{peer['clockOffsetMs']} ms",
        "/".join(str(depth) for depth in queue) if any(queue) else "-",
        since(delivery["oldest"], now_ms),
        str(delivery["setAside"] or "-"),
        since(delivery["lastSuccess"], now_ms),
        peer["breaker"],
        until(delivery["nextTry"], now_ms),
        f"{delivery['batch']} ({delivery['batchReason']})",
        str(delivery["postsPerHour"]),
        str(delivery["bytesPerHour"]),
        peer["trouble"] or _unusual(peer["unusual"]) or "-",
    )


def _unusual(found: dict[str, Any] | None) -> str | None:
    return None if found is None else f"unusual: {found['count']} {found['what']} an hour, not {found['usual']:g}"
