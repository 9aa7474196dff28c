"""Two instances that follow each other over HTTP show the same numbers, and only of what the other may know."""

from __future__ import annotations

from integration.conftest import MakeInstance, befriend
from integration.house import NOWHERE, OTHER_UUID, UUID, Client, Instance, holds, wait_until

Pair = tuple[Instance, Instance]
PRIVATE = "1f6b8a2e-2f0f-4f53-8d07-3b8ad10f8c11"


async def both_say(pair: Pair, number: int, video: str = UUID) -> None:
    async def agree() -> bool:
        return [await each.viewers(video) for each in pair] == [number, number]

    await wait_until(agree, what=f"not both of them say {number}")


async def test_an_announced_video_is_imported_under_its_own_id(pair: Pair) -> None:
    origin, follower = pair
    found = await follower.video()
    assert found is not None
    assert (found["name"], found["duration"], found["isLocal"]) == ("Big Buck Bunny", 596, False)
    assert follower.host in await origin.followers()


async def test_viewers_of_both_are_one_number_on_both(pair: Pair) -> None:
    origin, follower = pair
    await origin.watch("anna", "bert")
    await both_say(pair, 2)
    await follower.watch("carl", "dora", "emil")
    await both_say(pair, 5)

    breakdown = (await origin.ask("GET", f"/api/v1/videos/{UUID}/viewers")).body
    assert breakdown["local"] == 2
    assert breakdown["peers"] == {follower.host: 3}


async def test_whoever_says_farewell_at_the_origin_is_missed_on_both(pair: Pair) -> None:
    origin, _ = pair
    await origin.watch("anna", "bert")
    await both_say(pair, 2)
    await origin.leave("anna")
    await both_say(pair, 1)
    await origin.leave("bert")
    await both_say(pair, 0)


async def test_viewers_who_fall_silent_are_missed_on_both(instance: MakeInstance) -> None:
    short = {"viewer_lifetime_ms": 1_500}
    pair = await instance(views=short), await instance(views=short)
    origin, follower = pair
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    await origin.watch("anna")
    await follower.watch("bert")
    await both_say(pair, 2)
    await both_say(pair, 0)


async def test_a_viewer_who_stays_is_one_viewer_for_longer_than_a_life(instance: MakeInstance) -> None:
    short = {"viewer_lifetime_ms": 1_000}
    pair = await instance(views=short), await instance(views=short)
    origin, follower = pair
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    await follower.watch("anna")
    await both_say(pair, 1)

    async def still_one() -> bool:
        await follower.watch("anna")
        return await origin.says(1) and await follower.says(1)

    await holds(still_one, 2.5)


async def test_a_counted_view_reaches_the_origin_once_and_comes_back(pair: Pair) -> None:
    origin, follower = pair
    assert await follower.view("anna") == "counted"
    assert await follower.view("anna") == "ignored: already_counted"
    await wait_until(lambda: _views(origin, 1))
    assert await origin.view("bert") == "counted"
    assert await origin.views() == 2
    await holds(lambda: _views(origin, 2), 0.3)

    await origin.flush_views()
    await wait_until(lambda: _views(follower, 2), what="the count did not come back")


async def test_a_private_video_never_leaves(pair: Pair) -> None:
    origin, follower = pair
    await origin.put_video(PRIVATE, privacy="private")
    token = (await origin.ask("POST", f"/api/v1/videos/{PRIVATE}/viewer-tokens", {})).body["token"]
    assert (await origin.heartbeat("anna", video=PRIVATE)).status != 204
    assert (await origin.heartbeat("anna", video=PRIVATE, viewerToken=token)).status == 204
    # What was announced after it has arrived: it would have, too.
    await origin.put_video(OTHER_UUID)
    await wait_until(lambda: follower.video(OTHER_UUID))
    assert await follower.viewers(PRIVATE) == NOWHERE
    assert (await origin.document(f"/videos/watch/{PRIVATE}")).status in (401, 403, 404)
    bring = await follower.ask("POST", "/api/v1/videos", {"url": origin.id_of(PRIVATE)})
    assert bring.status >= 400
    assert PRIVATE not in str((await origin.document("/accounts/peertube/outbox?page=1")).body)
    assert PRIVATE not in str((await origin.ask("GET", "/metrics")).body)


async def test_an_unlisted_video_is_brought_in_by_its_address_alone(pair: Pair) -> None:
    origin, follower = pair
    unlisted = OTHER_UUID
    await origin.put_video(unlisted, privacy="unlisted")
    await origin.put_video(PRIVATE)
    await wait_until(lambda: follower.video(PRIVATE))
    assert await follower.viewers(unlisted) == NOWHERE
    assert unlisted not in str((await origin.document("/accounts/peertube/outbox?page=1")).body)

    brought = await follower.ask("POST", "/api/v1/videos", {"url": origin.id_of(unlisted)})
    assert (brought.status, brought.body["uuid"]) == (201, unlisted)
    await follower.watch("anna", video=unlisted)
    await origin.watch("bert", video=unlisted)
    await both_say(pair, 2, unlisted)


async def test_a_video_deleted_at_its_origin_is_gone_everywhere(pair: Pair) -> None:
    origin, follower = pair
    await follower.watch("anna")
    assert (await origin.ask("DELETE", f"/api/v1/videos/{UUID}")).status == 204
    await wait_until(lambda: follower.says(NOWHERE), what="the video is still there")
    assert (await origin.document(f"/videos/watch/{UUID}")).status in (404, 410)

    await origin.put_video(name="Back again")
    await wait_until(follower.video, what="a video that returns is not imported again")
    await both_say(pair, 0)
    await follower.watch("anna")
    await both_say(pair, 1)


async def test_a_video_that_becomes_private_is_gone_elsewhere_and_may_return(pair: Pair) -> None:
    origin, follower = pair
    await origin.put_video(privacy="private")
    await wait_until(lambda: follower.says(NOWHERE))
    await origin.put_video(privacy="public")
    await wait_until(follower.video)


async def test_a_renamed_video_has_its_new_name_everywhere(pair: Pair) -> None:
    origin, follower = pair
    await origin.put_video(name="Sintel", duration=888)

    async def renamed() -> bool:
        found = await follower.video()
        return found is not None and (found["name"], found["duration"]) == ("Sintel", 888)

    await wait_until(renamed)


async def test_a_peer_blocked_while_running_is_heard_no_more(pair: Pair) -> None:
    origin, follower = pair
    await follower.watch("anna", "bert")
    await origin.watch("carl")
    await both_say(pair, 3)

    assert (await origin.ask("POST", f"/api/v1/server/peers/{follower.host}/block")).status == 204
    await wait_until(lambda: origin.says(1), what="a blocked peer's viewers are still counted")
    assert (await follower.peer(origin.host) or {})["following"] == "rejected", "its follow was not ended with a Reject"
    await follower.watch("dora")
    await wait_until(lambda: _trouble(follower, origin.host), what="the blocked peer was not refused")
    assert "status_403" in str((await follower.peer(origin.host) or {})["trouble"])
    await holds(lambda: origin.says(1), 0.2)

    assert (await origin.ask("POST", f"/api/v1/server/peers/{follower.host}/allow")).status == 204
    await wait_until(lambda: _speaks_again(pair), what="an allowed peer is not heard again")


async def _speaks_again(pair: Pair) -> bool:
    origin, follower = pair
    await follower.watch("dora")
    return await origin.viewers() >= 2


async def test_who_unfollows_hears_no_more(pair: Pair) -> None:
    origin, follower = pair
    await follower.unfollow(origin.host)
    await wait_until(lambda: _followers(origin, []), what="the Undo did not arrive")
    await origin.put_video(OTHER_UUID)
    await origin.watch("anna")
    await holds(lambda: follower.says(0), 0.4)
    assert await follower.viewers(OTHER_UUID) == NOWHERE

    await befriend(origin, follower)
    await wait_until(lambda: follower.video(OTHER_UUID), what="what was published meanwhile is not announced")
    await both_say(pair, 1)


async def test_a_follower_that_was_removed_hears_no_more(pair: Pair) -> None:
    origin, follower = pair
    assert (await origin.ask("DELETE", f"/api/v1/server/followers/{follower.host}")).status == 204

    async def rejected() -> bool:
        return await follower.follows(origin.host) in (None, "rejected")

    await wait_until(rejected, what="the Reject did not arrive")
    await origin.watch("anna")
    await holds(lambda: follower.says(0), 0.3)


async def test_who_follows_later_is_told_of_videos_and_viewers(instance: MakeInstance) -> None:
    origin, late = await instance(), await instance()
    await origin.put_video()
    await origin.watch("anna", "bert")
    await befriend(origin, late)
    await both_say((origin, late), 2)


async def _views(client: Client, number: int) -> bool:
    return await client.views() == number


async def _followers(client: Client, hosts: list[str]) -> bool:
    return await client.followers() == hosts


async def _trouble(client: Client, host: str) -> bool:
    return bool((await client.peer(host) or {}).get("trouble"))


async def test_two_of_us_agree_on_what_they_take_without_trying(instance: MakeInstance) -> None:
    """What NodeInfo offers is kept to: a follower that takes five at once never meets more, and hears how many of the
    viewers are its own."""
    origin, follower = await instance(), await instance(federation={"batch_max_items": 5})
    await befriend(origin, follower)
    uuids = [f"{number:08x}-0000-4000-8000-000000000001" for number in range(12)]
    for uuid in uuids:
        await origin.put_video(uuid)
    await wait_until(lambda: follower.video(uuids[-1]))
    for uuid in uuids:
        await origin.watch("anna", video=uuid)
        await follower.watch("bert", "carl", video=uuid)
    for uuid in uuids:
        await wait_until(lambda uuid=uuid: follower.says(3, video=uuid))
    shown = (await origin.peer(follower.host) or {})["delivery"]
    assert (shown["batch"], shown["batchReason"], shown["setAside"]) == ("everything", "offered", 0)
    assert await follower.refusals() == []

    async def knows_its_own() -> bool:
        explained = await follower.ask("GET", f"/api/v1/videos/{uuids[0]}/viewers?explain=1")
        return bool(explained.body["explain"] == {"remoteTotal": 3, "oursInRemoteTotal": 2, "elsewhere": 1})

    await wait_until(knows_its_own)
