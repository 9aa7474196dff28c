from __future__ import annotations

from typing import Any

import pytest

from service.commands.video_table import shown, span, stats_lines, video_lines


def a_video(**more: Any) -> dict[str, Any]:
    return {
        "shortUUID": "kkGMgK9ZtnKfYAgnEtQxbv",
        "name": "A video",
        "isLocal": True,
        "isLive": False,
        "duration": 3_725,
        "privacy": {"id": 1, "label": "Public"},
        "viewers": 1_234,
        "views": 5_000_000,
        "channel": {"host": "here.example"},
    } | more


def test_a_row_per_video() -> None:
    theirs = a_video(isLocal=False, isLive=True, name="Ü", channel={"host": "there.example:8443"})
    lines = video_lines([a_video(), theirs])
    assert lines[0].split() == ["VIDEO", "NAME", "FROM", "KIND", "PRIVACY", "VIEWERS", "VIEWS"]
    assert lines[1].endswith("here                1 h 02 min  public   1,234    5,000,000")
    assert "there.example:8443  live" in lines[2]
    assert video_lines([]) == ["  ".join(lines[0].split())]


def test_a_name_cannot_move_the_cursor() -> None:
    assert shown("a\033[2Jb\r\n\u202ec") == "a�[2Jb���c"
    assert shown("x" * 100) == "x" * 47 + "…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min 00 s"), (3_599, "59 min 59 s"), (3_600_000, "1,000 h 00 min")],
)
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_statistics() -> None:
    viewers = {
        "viewers": 9,
        "local": 2,
        "peers": {f"{name}.example": at for at, name in enumerate("abcdefg")},
        "unverified": 3,
    }
    overall = {
        "viewersPeak": 7,
        "viewersPeakDate": "2026-01-31T20:00:00.000Z",
        "totalViewers": 10,
        "totalWatchTime": 100,
        "averageWatchTime": 10,
        "countries": [{"isoCode": "FR", "viewers": 8}],
    }
    agents = {"clients": [{"name": f"C{at}", "viewers": at} for at in range(7)], "operatingSystems": []}
    said = "\n".join(stats_lines(a_video(), viewers, overall, agents))
    assert "9 (2 here, 6 at g.example, 5 at f.example" in said
    assert "2 more peers, 3 unverified beside them)" in said
    assert "7 at 2026-01-31T20:00:00.000Z" in said
    assert "1 min 40 s, 10 s each" in said
    assert "FR 8" in said
    assert "C4 4, 2 more" in said
    assert "systems         -" in said


def test_a_remote_video_has_its_viewers_alone() -> None:
    lines = stats_lines(a_video(isLocal=False), {"viewers": 1}, {}, {})
    assert [line.split("  ")[0] for line in lines] == ["video", "watching now", "views"]
