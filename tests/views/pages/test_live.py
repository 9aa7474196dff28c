"""Who is there, and what counts again when: on every live store, to the millisecond."""

from __future__ import annotations

import pytest

from tests.views.pages.page_house import BLOG, SHOP, PageHouse, path, session
from views.pages.model import Outcome
from views.pages.places import Spot

COUNTED, KNOWN, SEEN = Outcome.COUNTED, Outcome.ALREADY_COUNTED, Outcome.ALREADY_SEEN


async def test_a_session_is_active_for_two_minutes_and_not_longer(live_house: PageHouse) -> None:
    house = live_house
    await house.beat("a", "/x")
    house.clock.advance(119_999)
    assert await house.active() == (1, {"/x": 1})
    house.clock.advance(1)
    assert await house.active() == (0, {})


async def test_every_sign_of_life_prolongs(live_house: PageHouse) -> None:
    house = live_house
    for _ in range(10):
        await house.beat("a", "/x")
        house.clock.advance(30_000)
    assert await house.active() == (1, {"/x": 1})


async def test_signs_of_life_within_20_seconds_are_one_unless_the_page_is_another(live_house: PageHouse) -> None:
    house = live_house
    assert await house.beat("a", "/x") is COUNTED
    house.clock.advance(19_999)
    assert await house.beat("a", "/x") is SEEN
    assert await house.beat("a", "/y") is COUNTED
    assert await house.active() == (1, {"/y": 1})
    assert await house.beat("a", "/x") is COUNTED
    assert await house.active() == (1, {"/x": 1})
    house.clock.advance(20_000)
    assert await house.beat("a", "/x") is COUNTED


async def test_a_sign_of_life_that_was_dropped_prolongs_nothing(live_house: PageHouse) -> None:
    house = live_house
    await house.beat("a")
    house.clock.advance(19_999)
    await house.beat("a")
    house.clock.advance(100_001)
    assert await house.active() == (0, {})


async def test_sites_know_nothing_of_each_other(live_house: PageHouse) -> None:
    house = live_house
    await house.beat("a", "/x")
    await house.beat("a", "/x", host=SHOP)
    await house.beat("b", "/y", host=SHOP)
    assert await house.active(BLOG) == (1, {"/x": 1})
    assert await house.active(SHOP) == (2, {"/x": 1, "/y": 1})


async def test_who_leaves_is_gone_at_once_and_may_come_back(live_house: PageHouse) -> None:
    house = live_house
    await house.beat("a", "/x", spot=Spot("FR"))
    await house.pages.visits.leave(house.site(), session("a"), None)
    present = await house.pages.active.present(house.site().number)
    assert (present.visitors, present.paths, present.spots) == (0, {}, {})
    assert await house.beat("a", "/x") is COUNTED
    assert await house.active() == (1, {"/x": 1})


async def test_a_session_stays_where_it_began(live_house: PageHouse) -> None:
    house = live_house
    paris = Spot("FR", "Paris | x", 48.9, 2.4)
    await house.beat("a", "/x", spot=paris)
    await house.beat("a", "/y", spot=Spot("DE"))
    await house.beat("b", "/y", spot=Spot("DE", "Köln"))
    present = await house.pages.active.present(house.site().number)
    assert present.spots == {Spot("FR", "Paris   x", 48.9, 2.4): 1, Spot("DE", "Köln"): 1}


async def test_a_long_path_is_found_again(live_house: PageHouse) -> None:
    house = live_house
    long = "/" + "b" * 700
    await house.view("a", long)
    await house.beat("a", long)
    _, paths = await house.active()
    assert list(paths) == [path(long).key]
    assert await house.pages.queries.paths_of(house.site(), list(paths)) == {path(long).key: long}


async def test_a_view_counts_again_after_exactly_30_minutes(live_house: PageHouse) -> None:
    house = live_house
    assert await house.view("a", "/x") is COUNTED
    assert await house.view("a", "/y") is COUNTED
    assert await house.view("b", "/x") is COUNTED
    house.clock.advance(30 * 60_000 - 1)
    assert await house.view("a", "/x") is KNOWN
    house.clock.advance(1)
    assert await house.view("a", "/x") is COUNTED
    assert await house.view("a", "/x") is KNOWN


async def test_cleaning_up_leaves_no_backlog(live_house: PageHouse) -> None:
    house = live_house
    for number in range(300):
        await house.beat(f"s{number}", f"/{number}")
    house.clock.advance(120_000)
    await house.beat("new", "/x")
    await house.pages.active.sweep()
    sessions = house.pages.active._sessions
    assert [one.viewer for one in await sessions.all_of(house.site().number)] == [session("new")]
    assert await house.active() == (1, {"/x": 1})


async def test_the_visitor_of_before_midnight_is_the_same_after_it(live_house: PageHouse) -> None:
    house, site = live_house, live_house.site()
    yesterday, today = session("yesterday"), session("today")
    await house.pages.visits.view(site, path("/x"), yesterday, None)
    await house.pages.visits.heartbeat(site, path("/x"), yesterday, None, None)
    assert await house.pages.visits.view(site, path("/x"), today, yesterday) is KNOWN
    await house.pages.visits.heartbeat(site, path("/y"), today, yesterday, None)
    assert await house.active() == (1, {"/y": 1})
    assert (await house.pages.queries.totals(site, None)).visitors == 1


@pytest.mark.parametrize("count", [1, 40])
async def test_one_view_at_once_counts_once(live_house: PageHouse, count: int) -> None:
    import asyncio

    outcomes = await asyncio.gather(*(live_house.view("a", "/x") for _ in range(count)))
    assert outcomes.count(COUNTED) == 1
    assert (await live_house.pages.queries.totals(live_house.site(), None)).views == 1
