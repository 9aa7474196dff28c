"""Row 119 of the bad inputs: SIGTERM while viewers are being swept away leaves no half a total, and keeps the queue."""

from __future__ import annotations

import signal

from integration.conftest import Spawn
from integration.house import OTHER_UUID, Client, wait_until
from integration.peertube import PeerTube

PEOPLE = 150
FAST = {"viewer_lifetime": "1s", "sweep_interval": "10ms"}


async def in_between(client: Client) -> bool:
    return 0 < await client.viewers() < PEOPLE


async def test_row_119_a_stop_during_sweeps(spawn: Spawn, peertube: PeerTube) -> None:
    process = spawn(views=FAST)
    client = await process.start()
    await client.put_video()
    await peertube.follow(client.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    video = client.id_of()

    for stop in range(3):
        # They come one after the other, so that for as long as that took every sweep takes some of them.
        people = [f"viewer-{stop}-{number}" for number in range(PEOPLE)]
        for start in range(0, PEOPLE, 10):
            await client.watch(*people[start : start + 10])
        await wait_until(lambda: _told(peertube, video))
        await peertube.close()
        if stop == 0:
            await client.put_video(OTHER_UUID)
        await wait_until(lambda: in_between(client), what="no sweep was seen at work")
        assert await process.end(signal.SIGTERM) == 0
        assert "Traceback" not in process.log
        await peertube.open()
        await process.start()
        assert await client.viewers() <= PEOPLE

    # What was said last may be over by now: with the next viewer the numbers go on, from nobody and back to nobody.
    said = len(peertube.totals(video))
    await client.watch("the-last-one")
    await wait_until(lambda: len(peertube.totals(video)) > said and peertube.totals(video)[-1] == 0)
    assert await client.viewers() == 0
    assert all(0 <= number <= PEOPLE for number in peertube.totals(video))
    # What waited for the peer was kept, and came once.
    announced = [activity["object"] for activity in peertube.of_type("Announce")]
    assert announced.count(client.id_of(OTHER_UUID)) == 1


def _told(peertube: PeerTube, video: str) -> bool:
    return bool(peertube.totals(video))
