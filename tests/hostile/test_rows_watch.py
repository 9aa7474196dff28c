"""Rows 105 and 106 on the wire: what another instance says that its viewer watched."""

from __future__ import annotations

from typing import Any

import pytest
from hostile.peer import FakePeer
from hostile.scene import Build, Scene
from hostile.table import ACCEPTED, Act, Row, check, rows
from sqlalchemy import select

from foundation.clock import iso_ms
from views.stats.tables import viewer_stays

FOREIGN, DUPLICATE = (202, "foreign_id"), (202, "duplicate")
SECTIONS, DATES, MALFORMED = (202, "implausible_sections"), (202, "implausible_dates"), (400, "bad_watch_action")
STAY = "aa78c2b8-0707-42bc-b68d-a0e2d5f4e39d"
BIG = {"max_body_bytes": 1_000_000}


def sections(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"startTimestamp": start, "endTimestamp": end} for start, end in pairs]


def create(scene: Scene, speaker: FakePeer, **changes: Any) -> dict[str, Any]:
    now_ms = scene.clock.now_ms()
    thing = {
        "id": f"http://{scene.peer.host}/videos/local-viewer/{STAY}",
        "type": "WatchAction",
        "uuid": STAY,
        "actionStatus": "CompletedActionStatus",
        "object": scene.ours.url,
        "startTime": iso_ms(now_ms - 30_000),
        "endTime": iso_ms(now_ms - 10_000),
        "duration": "PT10S",
        "watchSections": sections((0, 10)),
        **changes,
    }
    return {"type": "Create", "id": f"{speaker.actor}/creates/1", "actor": speaker.actor, "to": [], "object": thing}


def watched(**changes: Any) -> Act:
    return lambda scene: scene.say(create(scene, scene.peer, **changes))


async def over_anothers(scene: Scene) -> Any:
    """The peer said it; the bystander says otherwise, under the same id."""
    assert (await scene.say(create(scene, scene.peer))).status == 204
    answer = await scene.bystander.post(scene.inbox, create(scene, scene.bystander, duration="PT1S"))
    scene.bystander.asked.clear()
    return answer


async def again(scene: Scene) -> Any:
    assert (await scene.say(create(scene, scene.peer))).status == 204
    return await scene.say(create(scene, scene.peer, duration="PT1S"))


def row(name: str, outcome: tuple[int, str], act: Act) -> Row:
    """The peer is asked for its key, and that is all it is asked for."""
    return Row(name, outcome, act, fetches=1, listen=BIG)


ROWS = [
    row("105-id-on-another-host", FOREIGN, watched(id=f"https://a.example/videos/local-viewer/{STAY}")),
    row("105-id-on-our-host", FOREIGN, lambda scene: watched(id=scene.url + f"/videos/local-viewer/{STAY}")(scene)),
    row("105-over-anothers", FOREIGN, over_anothers),
    row("105-over-ones-own", DUPLICATE, again),
    row("106-end-before-start", SECTIONS, watched(watchSections=sections((5, 1)))),
    row("106-negative", MALFORMED, watched(watchSections=sections((-5, 1)))),
    row("106-beyond-the-end", SECTIONS, watched(watchSections=sections((0, 100_000)))),
    row("106-infinite", (400, "bad_number"), watched(watchSections=sections((0, float("inf"))))),
    row("106-texts", MALFORMED, watched(watchSections=[{"startTimestamp": "0", "endTimestamp": "1"}])),
    row("106-ten-thousand", SECTIONS, watched(watchSections=sections(*[(0, 1)] * 10_000))),
    row("106-ten-thousand-and-one", MALFORMED, watched(watchSections=sections(*[(0, 1)] * 10_001))),
    row("106-ends-before-it-begins", DATES, watched(endTime="2020-01-01T00:00:00Z", startTime="2020-01-02T00:00:00Z")),
    row("106-in-a-century", DATES, watched(endTime="2126-01-01T00:00:00Z")),
    row("106-a-thousand-overlapping", ACCEPTED, watched(watchSections=sections(*[(0, 9)] * 1_000))),
]


@rows(*ROWS)
async def test_row(build: Build, row: Row) -> None:
    scene = await build(listen=row.listen, **row.federation)
    await check(scene, row)


async def kept(scene: Scene) -> list[tuple[str, int, str]]:
    """Who said it, the watch time, and the sections as they are kept."""
    stays = viewer_stays.c
    async with scene.service.ground.database.read() as tx:
        found = await tx.execute(select(stays.source, stays.watch_time_s, stays.sections))
        return [(source, watch_time_s, sections) for source, watch_time_s, sections in found]


@pytest.mark.parametrize("act", [over_anothers, again])
async def test_what_was_kept_first_stands(build: Build, act: Act) -> None:
    scene = await build()
    await act(scene)
    assert await kept(scene) == [(scene.peer.host, 10, "[0,10]")]


async def test_a_thousand_overlapping_sections_are_one(build: Build) -> None:
    scene = await build(listen=BIG)
    # Twenty seconds of wall time at twice the speed, and the one that had just begun.
    believed = 41
    answer = await watched(watchSections=sections(*[(0, 9)] * 1_000), duration="PT100000S")(scene)
    assert answer.status == 204
    assert await kept(scene) == [(scene.peer.host, believed, "[0,9]")]
