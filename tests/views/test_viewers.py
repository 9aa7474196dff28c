"""The service: what is heard moves the right number and tells the right people."""

from __future__ import annotations

import re

import pytest
from live import NOW, House, video

from foundation.errors import StorageUnavailable
from views.counters.memory import MemoryCounterStore
from views.model import LOCAL, Privacy, Video
from views.number_sums import ScopeTotals
from views.ports import OriginTraits
from views.shown import Shown
from views.telling import wire_id
from views.viewers import Seen

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
OURS = video(1)
THEIRS = video(2, "origin.example")


@pytest.fixture
def house() -> House:
    house = House()
    house.put(OURS)
    house.put(THEIRS)
    return house


def listen(house: House) -> list[tuple[int, int]]:
    heard: list[tuple[int, int]] = []
    house.viewers.subscribe(lambda video, number: heard.append((video.number, number)))
    return heard


async def test_a_viewer_of_ours_on_our_video(house: House) -> None:
    heard = listen(house)
    assert await house.viewers.watching(OURS, A) == Seen(A, True)
    assert await house.viewers.watching(OURS, A) == Seen(A, False)
    assert await house.viewers.shown(OURS) == Shown(1, 1)
    assert (house.announcer.moved, house.announcer.tells, heard) == ([1], [], [(1, 1)])
    await house.pass_seconds(119)
    assert heard == [(1, 1)]
    await house.pass_seconds(1)
    assert (heard, house.announcer.moved) == ([(1, 1), (1, 0)], [1, 1])


async def test_yesterdays_key_is_extended_while_it_is_here(house: House) -> None:
    await house.viewers.watching(OURS, A)
    assert await house.viewers.watching(OURS, B, A) == Seen(A, False)
    assert await house.viewers.left(OURS, B, A)
    assert await house.viewers.watching(OURS, B, A) == Seen(B, True)
    assert (await house.viewers.shown(OURS)).viewers == 1


async def test_leaving(house: House) -> None:
    heard = listen(house)
    await house.viewers.watching(OURS, A)
    assert await house.viewers.left(OURS, A)
    assert not await house.viewers.left(OURS, A)
    assert heard == [(1, 1), (1, 0)]


async def test_a_private_video_is_counted_and_not_announced(house: House) -> None:
    private = house.put(video(3, privacy=Privacy.PRIVATE))
    heard = listen(house)
    await house.viewers.watching(private, A)
    assert (house.announcer.moved, heard) == ([], [(3, 1)])


async def test_viewers_of_a_peer_within_its_quota(house: House) -> None:
    house.quota = 2
    for key in (A, B, C, C):
        await house.viewers.remote_viewer(OURS, "peer.example", key, NOW + 60_000)
    assert await house.viewers.shown(OURS) == Shown(2, 0, {"peer.example": 2}, 1)
    await house.viewers.forget_peer("peer.example")
    assert (await house.viewers.shown(OURS)).viewers == 0
    assert not await house.viewers.remote_viewer(OURS, "peer.example", A, NOW)


async def test_the_life_a_peer_asks_for_is_limited(house: House) -> None:
    await house.viewers.remote_viewer(OURS, "peer.example", A, NOW + 10**12)
    house.clock.advance(600_000)
    assert (await house.viewers.shown(OURS)).viewers == 0


async def test_a_total_of_the_origin_beside_our_own_viewers(house: House) -> None:
    heard = listen(house)
    await house.viewers.watching(THEIRS, A)
    origin = "origin.example"
    assert await house.viewers.remote_total(THEIRS, origin, 10, NOW + 120_000, NOW, NOW)
    assert await house.viewers.shown(THEIRS) == Shown(11, 1, remote_total=10)
    assert not await house.viewers.remote_total(THEIRS, origin, 5, NOW + 120_000, NOW - 1, NOW)
    assert await house.viewers.remote_total(THEIRS, origin, 10, NOW + 120_000, NOW + 1, NOW, yours=1)
    assert await house.viewers.shown(THEIRS) == Shown(10, 1, remote_total=10, ours=1)
    assert await house.viewers.remote_total(THEIRS, origin, 3, NOW + 120_000, NOW + 2, NOW, yours=99)
    assert await house.viewers.shown(THEIRS) == Shown(1, 1, remote_total=3, ours=3)
    assert heard == [(2, 1), (2, 11), (2, 10), (2, 1)]
    assert house.announcer.moved == []
    await house.pass_seconds(119)
    await house.viewers.watching(THEIRS, A)
    await house.pass_seconds(30)
    assert (await house.viewers.shown(THEIRS)).remote_total == 3
    await house.pass_seconds(1)
    assert await house.viewers.shown(THEIRS) == Shown(1, 1)


async def test_only_acknowledged_viewers_are_taken_for_part_of_a_total(house: House) -> None:
    for key in (A, B):
        await house.viewers.watching(THEIRS, key)
    await house.viewers.told(house.announcer.tells[0], NOW + 300)
    house.clock.advance(5_000)
    now = house.clock.now_ms()
    await house.viewers.remote_total(THEIRS, "origin.example", 7, now + 120_000, now, now)
    assert await house.viewers.shown(THEIRS) == Shown(8, 2, remote_total=7, ours=1)


async def test_the_origin_is_told_at_once_and_again_while_there_is_news(house: House) -> None:
    tells = house.announcer.tells
    await house.viewers.watching(THEIRS, A)
    assert [(tell.viewer, tell.expires_ms) for tell in tells] == [(A, NOW + 120_000)]
    for _ in range(36):
        await house.pass_seconds(5)
        await house.viewers.watching(THEIRS, A)
    times = [tell.expires_ms - NOW for tell in tells]
    # The sweep at 90 s tells the life given at 85 s, which is 115 s more; 75 % of that later, at 177 s, that of 175 s.
    assert times == [120_000, 205_000, 295_000]
    assert len({tell.wire_id for tell in tells}) == 1
    await house.pass_seconds(600)
    assert len(tells) == 4, "the last sign of life was told, then nothing"
    assert len(house.telling) == 0


async def test_a_silent_viewer_is_told_as_soon_as_it_speaks(house: House) -> None:
    tells = house.announcer.tells
    await house.viewers.watching(THEIRS, A)
    await house.pass_seconds(100)
    assert len(tells) == 1
    await house.viewers.watching(THEIRS, A)
    assert [tell.expires_ms - NOW for tell in tells] == [120_000, 220_000]


async def test_an_origin_that_appends_is_told_later(house: House) -> None:
    house.announcer.traits = OriginTraits(resend_after=0.95, appends=True)
    for _ in range(113):
        await house.viewers.watching(THEIRS, A)
        await house.pass_seconds(1)
    assert len(house.announcer.tells) == 1
    await house.pass_seconds(1)
    assert len(house.announcer.tells) == 2


async def test_who_left_is_not_told_again_and_keeps_its_name_when_back_in_time(house: House) -> None:
    tells = house.announcer.tells
    await house.viewers.watching(THEIRS, A)
    await house.viewers.left(THEIRS, A)
    await house.pass_seconds(100)
    assert len(tells) == 1
    await house.viewers.watching(THEIRS, A)
    assert len({tell.wire_id for tell in tells}) == 1
    await house.pass_seconds(500)
    await house.viewers.watching(THEIRS, A)
    assert len({tell.wire_id for tell in tells}) == 2


async def test_the_stay_keeps_its_name_and_its_rhythm_over_a_restart(house: House) -> None:
    await house.viewers.watching(THEIRS, A)
    await house.viewers.watching(THEIRS, B)
    first, unanswered = house.announcer.tells
    await house.viewers.told(first, NOW + 100)
    again = House(house.clock, house.store, shelf=house.shelf)
    await again.viewers.start()
    house.clock.advance(10_000)
    for key in (A, B):
        await again.viewers.watching(THEIRS, key)
    assert [tell.wire_id for tell in again.announcer.tells] == [unanswered.wire_id], "acknowledged: not told yet"
    await again.pass_seconds(85)
    assert [tell.wire_id for tell in again.announcer.tells] == [unanswered.wire_id, first.wire_id]


def test_names_on_the_wire() -> None:
    name = wire_id(b"secret", THEIRS.uuid, A, NOW)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", name)
    others = {
        wire_id(b"other", THEIRS.uuid, A, NOW),
        wire_id(b"secret", OURS.uuid, A, NOW),
        wire_id(b"secret", THEIRS.uuid, B, NOW),
        wire_id(b"secret", THEIRS.uuid, A, NOW + 1),
    }
    assert len(others | {name}) == 5


async def test_totals_by_scope_are_sums_of_the_numbers_shown(house: House) -> None:
    for key in (A, B, C):
        await house.viewers.watching(OURS, key)
        await house.viewers.remote_viewer(OURS, "peer.example", key, NOW + 60_000)
    await house.viewers.watching(THEIRS, A)
    await house.viewers.remote_total(THEIRS, "origin.example", 10, NOW + 120_000, NOW, NOW, yours=1)
    house.quota = 2
    assert await house.viewers.sums.by_scope() == ScopeTotals(3, 2, 1, 9)
    assert [number.viewers for number in await house.viewers.shown_many([THEIRS, OURS])] == [10, 5]


async def test_a_listener_that_fails_hurts_nobody_and_one_that_left_hears_nothing(house: House) -> None:
    def fail(video: Video, number: int) -> None:
        raise ValueError("no")

    house.viewers.subscribe(fail)
    heard: list[int] = []
    unsubscribe = house.viewers.subscribe(lambda video, number: heard.append(number))
    await house.viewers.watching(OURS, A)
    unsubscribe()
    unsubscribe()
    await house.viewers.watching(OURS, B)
    assert heard == [1]


async def test_a_deleted_video_is_forgotten(house: House) -> None:
    await house.viewers.watching(THEIRS, A)
    del house.shelf.videos[THEIRS.number]
    await house.viewers.forget_video(THEIRS.number)
    await house.pass_seconds(300)
    assert len(house.announcer.tells) == 1
    assert len(house.telling) == 0
    assert await house.viewers.sums.by_scope() == ScopeTotals()


async def test_a_full_store_says_so_and_tells_nobody() -> None:
    house = House(store=MemoryCounterStore(1))
    await house.viewers.watching(THEIRS, A)
    with pytest.raises(StorageUnavailable):
        await house.viewers.watching(THEIRS, B)
    assert len(house.announcer.tells) == 1
    assert await house.store.has(THEIRS.number, LOCAL, A, NOW)
