"""What viewers of one instance watched of another's video stands in the statistics of the other, over real HTTP."""

from __future__ import annotations

from typing import Any

from integration.conftest import MakeInstance, befriend
from integration.house import OTHER_UUID, UUID, Instance, wait_until
from sqlalchemy import select

from service.config import GeoHeaders, GeoIp
from views.model import LOCAL
from views.stats.model import Stay
from views.stats.tables import viewer_stays

Pair = tuple[Instance, Instance]
HEADERS = GeoIp(headers=GeoHeaders(country="X-Country", subdivision="X-Region"))


async def stays(instance: Instance) -> list[Stay]:
    """All that it has kept, oldest first."""
    async with instance.service.ground.database.read() as tx:
        urls = (await tx.execute(select(viewer_stays.c.url).order_by(viewer_stays.c.id))).scalars().all()
    found = [await instance.service.views.recorder.find(url) for url in urls]
    return [stay for stay in found if stay is not None]


async def overall(instance: Instance, video: str = UUID) -> dict[str, Any]:
    reply = await instance.ask("GET", f"/api/v1/videos/{video}/stats/overall")
    assert reply.status == 200, reply
    return dict(reply.body)


async def watch(instance: Instance, session: str, *, video: str = UUID, **headers: str) -> None:
    """Four seconds from the beginning, two more from the middle, and farewell."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    for at_s, event in ((0, None), (2, None), (100, "seek"), (102, "leave")):
        body = {"currentTime": at_s, "sessionId": session, "viewEvent": event, "client": "Firefox"}
        path = f"/api/v1/videos/{video}/views"
        reply = await instance.ask("POST", path, body, headers=fields, admin=False)
        assert reply.status == 204, reply


async def test_a_stay_at_another_instance_s_video_reaches_its_statistics(instance: MakeInstance) -> None:
    origin, follower = await instance(), await instance(geoip=HEADERS)
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video, what="the announced video was not imported")

    await watch(follower, "anna", X_Country="fr", X_Region="Brittany")
    (told,) = await wait_until(lambda: stays(origin), what="the origin was not told")
    (kept,) = await stays(follower)
    assert (told.source, kept.source) == (follower.host, LOCAL)
    assert told.url == kept.url == f"{follower.url}/videos/local-viewer/{kept.uuid}"
    assert told.sections == kept.sections == ((0, 2), (100, 102))
    assert told.watch_time_s == kept.watch_time_s == 4
    assert (told.traits.country, told.traits.subdivision) == ("FR", "Brittany")
    assert (told.traits.client, kept.traits.client) == (None, "Firefox")

    said = await overall(origin)
    assert (said["totalViewers"], said["totalWatchTime"]) == (1, 4)
    assert said["countries"] == [{"isoCode": "FR", "viewers": 1}]

    document = await follower.document(f"/videos/local-viewer/{kept.uuid}")
    assert document.status == 200
    assert document.headers["content-type"].startswith("application/activity+json")
    assert document.body["id"] == kept.url
    assert document.body["object"] == origin.id_of()
    assert "to" not in document.body
    # What the origin keeps of it is not the origin's to serve.
    assert (await origin.document(f"/videos/local-viewer/{kept.uuid}")).status == 404
    assert await origin.refusals() == []


async def test_whoever_falls_silent_is_told_of_too(instance: MakeInstance) -> None:
    origin, follower = await instance(), await instance(views={"stats_lifetime_ms": 1_000})
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    await follower.heartbeat("anna", 0)
    await follower.heartbeat("anna", 3)

    async def told() -> list[Stay]:
        reply = await follower.ask("POST", "/api/v1/server/debug/run-command", {"command": "process-video-viewers"})
        assert reply.status == 204
        return await stays(origin)

    (stay,) = await wait_until(told)
    assert (stay.sections, stay.watch_time_s) == (((0, 3),), 3)


async def test_nobody_is_told_of_stays_at_our_own_videos(pair: Pair) -> None:
    origin, follower = pair
    await watch(origin, "anna")
    (kept,) = await wait_until(lambda: stays(origin))
    assert kept.source == LOCAL
    assert (await origin.document(f"/videos/local-viewer/{kept.uuid}")).status == 404
    # Whatever comes later has to pass by where it would have come.
    await origin.put_video(OTHER_UUID)
    await wait_until(lambda: follower.video(OTHER_UUID))
    assert await stays(follower) == []
    assert await follower.refusals() == []


async def test_a_client_that_is_no_proxy_cannot_say_where_it_is(instance: MakeInstance) -> None:
    lonely = await instance()
    await lonely.put_video()
    await watch(lonely, "anna", X_Country="FR")
    (kept,) = await wait_until(lambda: stays(lonely))
    assert kept.traits.country is None
