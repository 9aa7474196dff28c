"""Viewers to be told, heard of by one process and told by another, on a real Redis."""

from __future__ import annotations

from processes import Process, Processes, remote_video

from views.ports import Tell

ORIGINS = tuple(f"origin-{number}.example" for number in range(8))
LATER_MS = 60_000


def tell(house: Processes, process: Process, origin: str, viewer: int = 1, life_ms: int = LATER_MS) -> Tell:
    number = ORIGINS.index(origin) + 1
    video = house.videos.setdefault(number, remote_video(number, origin))
    now_ms = process.clock.now_ms()
    return Tell(video, bytes([viewer]) * 16, f"name-{viewer}", now_ms + life_ms, now_ms)


def taken(process: Process, origin: str) -> list[Tell]:
    tells, _ = process.tells.take(origin, 100, process.clock.now_ms())
    return tells


async def exchange(house: Processes) -> int:
    crowded = 0
    for _ in range(2):
        for process in house.all:
            crowded += await process.tells.exchange()
    return crowded


async def test_whoever_hears_of_a_viewer_the_server_of_its_origin_tells(house: Processes) -> None:
    one, two = await house.begin(2)
    for origin in ORIGINS:
        for process in (one, two):
            process.tells.put(tell(house, process, origin, 1 if process is one else 2))
    assert await exchange(house) == 0
    for origin in ORIGINS:
        server = house.server_of(origin)
        other = two if server is one else one
        assert not other.tells.has(origin)
        assert {each.wire_id for each in taken(server, origin)} == {"name-1", "name-2"}


async def test_the_newest_life_of_a_viewer_wins(house: Processes) -> None:
    one, two = await house.begin(2)
    origin = ORIGINS[0]
    one.tells.put(tell(house, one, origin, life_ms=10_000))
    await exchange(house)
    newer = tell(house, two, origin, life_ms=90_000)
    two.tells.put(newer)
    await exchange(house)
    (found,) = taken(house.server_of(origin), origin)
    assert abs(found.expires_ms - newer.expires_ms) <= 50


async def test_what_was_not_settled_is_told_by_the_next_process(house: Processes) -> None:
    one, two = await house.begin(2)
    for origin in ORIGINS:
        one.tells.put(tell(house, one, origin, 1))
        one.tells.put(tell(house, one, origin, 2))
    await exchange(house)
    served = [origin for origin in ORIGINS if house.server_of(origin) is one]
    assert served
    for origin in served:
        found = taken(one, origin)
        await one.tells.settle([each for each in found if each.wire_id == "name-1"])
    await house.kill(one)
    await house.settle(two)
    await exchange(house)
    for origin in served:
        assert [each.wire_id for each in taken(two, origin)] == ["name-2"]


async def test_a_slot_filled_anew_while_it_was_told_stays(house: Processes) -> None:
    (one,) = await house.begin(1)
    one.tells.put(tell(house, one, ORIGINS[0]))
    await exchange(house)
    told = taken(one, ORIGINS[0])
    one.tells.put(tell(house, one, ORIGINS[0], life_ms=90_000))
    await exchange(house)
    await one.tells.settle(told)
    (two,) = await house.begin(1)
    await house.kill(one)
    await house.settle(two)
    await exchange(house)
    assert len(taken(two, ORIGINS[0])) == 1, "what was said of it meanwhile is still to be told"


async def test_what_has_ended_is_not_told(house: Processes) -> None:
    (one,) = await house.begin(1)
    one.tells.put(tell(house, one, ORIGINS[0], life_ms=-1))
    await exchange(house)
    assert not one.tells.has(ORIGINS[0])
