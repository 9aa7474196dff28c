"""WatchActions of ours: their shape is the recorded one, they survive, and they can be read at their id."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest
from aiohttp import web
from house import PEERTUBE, US, FakePeer, House, MakeHouse, MakePeer
from support.recorded import load_exchange, minimal_origin

from federation.documents import InstanceIdentity
from federation.vocabulary import Create, WatchActionObject, build, parse_activity
from foundation.clock import iso_ms, parse_iso_ms
from foundation.database import Transaction
from foundation.errors import Refused
from outbox.watch_actions import MAX_TOLD, WatchActionRoutes, told_sections, told_watch_action, watch_action
from views.model import Privacy, Video
from views.stats.model import Stay, Traits

UUID = "77e1d9ea-2f0b-4c2d-a2f5-5a4c7d3d8f10"
FRANCE = Traits("FR", "Brittany", "Firefox", "desktop", "Linux")


def id_of(base: str, uuid: str) -> str:
    return InstanceIdentity(base, "", "").watch_action_url(uuid)


def stay_at(video: Video, **changes: Any) -> Stay:
    values: dict[str, Any] = {
        "video": video.number,
        "uuid": UUID,
        "url": id_of(US, UUID),
        "start_ms": 1_800_000_000_000,
        "end_ms": 1_800_000_020_000,
        "watch_time_s": 14,
        "sections": ((0, 5), (10, 19)),
        "traits": FRANCE,
    }
    return Stay(**(values | changes))


@pytest.mark.parametrize(
    ("watched_s", "told"),
    [
        (14, [(0, 5), (10, 19)]),
        (9, [(0, 5), (10, 19)]),
        (17, [(0, 5), (10, 19), (0, 3)]),
        (33, [(0, 5), (10, 19), (0, 5), (10, 19), (0, 5)]),
    ],
)
def test_what_was_watched_again_is_told_again(watched_s: int, told: list[tuple[int, int]]) -> None:
    video = remote_video(f"{US}/videos/watch/{UUID}", f"{US}/accounts/root")
    stay = stay_at(video, watch_time_s=watched_s)
    assert told_sections(stay) == told
    assert sum(end - start for start, end in told_sections(stay)) == max(14, watched_s)


def test_what_was_watched_again_is_told_within_a_bound() -> None:
    video = remote_video(f"{US}/videos/watch/{UUID}", f"{US}/accounts/root")
    assert len(told_sections(stay_at(video, sections=((0, 1),), watch_time_s=10_000))) == MAX_TOLD


def remote_video(url: str, owner: str) -> Video:
    return Video(
        number=7,
        uuid=url.rpartition("/")[2],
        url=url,
        origin=url.split("/")[2],
        local=False,
        name="Theirs",
        duration_s=60,
        is_live=False,
        channel="c",
        privacy=Privacy.PUBLIC,
        published_ms=0,
        updated_ms=0,
        owner=owner,
    )


def instant_ms(text: str) -> int:
    found = parse_iso_ms(text)
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["39", "40", "60", "received"])
def test_the_same_stay_is_told_as_peertube_told_it(name: str) -> None:
    recorded: dict[str, Any]
    recorded = minimal_origin("received-create-watch-action") if name == "received" else load_exchange(name).json
    said = recorded["object"]
    base = recorded["actor"].removesuffix("/accounts/peertube")
    video = remote_video(said["object"], recorded["to"][0])
    stay = stay_at(
        video,
        uuid=said["uuid"],
        url=id_of(base, said["uuid"]),
        start_ms=instant_ms(said["startTime"]),
        end_ms=instant_ms(said["endTime"]),
        watch_time_s=int(said["duration"][2:-1]),
        sections=tuple((each["startTimestamp"], each["endTimestamp"]) for each in said["watchSections"]),
        traits=Traits(),
    )
    identity = InstanceIdentity(base, base.partition("://")[2], "")
    create = build.create(actor=identity.actor_url, object_=told_watch_action(video, stay), to=[video.owner])
    ours = msgspec.json.decode(build.encode(create))
    # No signature: nobody needs one inside an activity that its own author delivers.
    del recorded["signature"]
    assert ours == recorded


@pytest.mark.parametrize(
    ("traits", "location"),
    [
        (FRANCE, {"addressCountry": "FR", "addressRegion": "Brittany"}),
        (Traits("FR"), {"addressCountry": "FR", "addressRegion": None}),
        (Traits(subdivision="Brittany", client="Firefox"), None),
    ],
)
def test_a_location_needs_a_country_and_the_player_stays_at_home(
    traits: Traits, location: dict[str, str | None] | None
) -> None:
    video = remote_video("https://a.example/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d", "https://a.example/u")
    document = watch_action(video, stay_at(video, traits=traits))
    assert document.get("location") == location
    assert "Firefox" not in msgspec.json.encode(document).decode()


def test_what_is_said_is_what_we_would_read() -> None:
    video = remote_video("https://a.example/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d", "https://a.example/u")
    stay = stay_at(video)
    create = build.create(actor=f"{US}/accounts/peertube", object_=told_watch_action(video, stay), to=[video.owner])
    read = parse_activity(build.encode(create), max_items=1)
    assert isinstance(read, Create)
    thing = read.object
    assert isinstance(thing, WatchActionObject)
    assert (thing.id, thing.uuid, thing.video, thing.completed) == (stay.url, stay.uuid, video.url, True)
    assert (thing.start_ms, thing.end_ms, thing.duration_s) == (stay.start_ms, stay.end_ms, 14)
    assert tuple((each.start_s, each.end_s) for each in thing.sections) == stay.sections
    assert (thing.country, thing.subdivision) == ("FR", "Brittany")


# On its way


async def tell(house: House, video: Video, stay: Stay) -> None:
    await house.database.write(lambda tx: house.door.announcer.watched(tx, video, stay))
    house.door.announcer.committed()


async def test_the_origin_is_told_signed_at_the_inbox_of_the_video_s_account(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer()
    video = await house.remote_video(peer)
    await tell(house, video, stay_at(video))
    await peer.heard(lambda: bool(peer.of_type("Create")))
    ((path, document),) = peer.got
    assert path == "/inbox"
    assert document["id"] == f"{US}/videos/local-viewer/{UUID}/activity"
    assert document["actor"] == f"{US}/accounts/peertube"
    assert document["to"] == document["object"]["to"] == [f"{peer.base}/accounts/root"]
    assert document["object"]["startTime"] == iso_ms(1_800_000_000_000)
    assert peer.all_signed


async def test_what_many_watched_goes_to_its_origin_in_one_post_and_below_what_proxies_take(
    house: House, make_peer: MakePeer
) -> None:
    peer = await make_peer(software=PEERTUBE)
    video = await house.remote_video(peer)
    await house.probed(peer)
    stays = [stay_at(video, uuid=f"{n:08x}-{UUID[9:]}", url=id_of(US, f"{n:08x}-{UUID[9:]}")) for n in range(20)]

    async def work(tx: Transaction) -> None:
        for number, stay in enumerate(stays):
            view_id = f"{number:08x}-0000-4000-8000-000000000001"
            await house.door.announcer.view_counted(tx, video, view_id, house.clock.now_ms())
            await house.door.announcer.watched(tx, video, stay)

    await house.database.write(work)
    house.door.announcer.committed()
    await peer.heard(lambda: len(peer.of_type("Create")) == 20)
    assert len(peer.of_type("View")) == 20
    assert [document["type"] for _, document in peer.got] == ["Collection"]
    assert all("@context" not in item for item in peer.got[0][1]["items"])
    assert peer.all_signed
    # The terms of both.
    assert {"actionStatus", "userInteractionCount"} <= peer.got[0][1]["@context"][-1].keys()


async def test_it_waits_for_a_peer_that_is_away_and_survives_a_restart(
    make_house: MakeHouse, make_peer: MakePeer
) -> None:
    house, peer = await make_house(), await make_peer(answer=503)
    video = await house.remote_video(peer)
    await tell(house, video, stay_at(video))
    await peer.heard(lambda: bool(peer.verdicts))
    await house.stop()
    peer.answer = 204
    again = await make_house()
    await again.until(lambda: bool(peer.of_type("Create")), step_ms=1_000)
    assert [each["id"] for each in peer.of_type("Create")] == [f"{US}/videos/local-viewer/{UUID}/activity"]


async def test_nothing_is_told_when_the_transaction_fails(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer()
    video = await house.remote_video(peer)

    async def work(tx: Any) -> None:
        await house.door.announcer.watched(tx, video, stay_at(video))
        raise ValueError("the row did not go in")

    with pytest.raises(ValueError, match="row"):
        await house.database.write(work)
    assert await house.door.log.heads(0) == {}


async def test_stays_at_our_own_videos_and_at_nobody_s_are_told_to_nobody(house: House, make_peer: MakePeer) -> None:
    peer = await make_peer()
    ours = await house.video()
    orphan = await house.remote_video(peer, 41)
    orphan = remote_video(orphan.url, "")
    before = await house.door.log.heads(0)
    for video in (ours, orphan):
        await tell(house, video, stay_at(video))
    assert await house.door.log.heads(0) == before
    assert peer.got == []


# At its id


class Stays:
    def __init__(self) -> None:
        self.kept: dict[str, Stay] = {}

    async def find(self, url: str) -> Stay | None:
        return self.kept.get(url)


class Desk:
    def __init__(self, house: House) -> None:
        self.stays = Stays()
        self.refusal: Refused | None = None
        self.app = web.Application()
        routes = WatchActionRoutes(
            identity=house.identity, stays=self.stays, videos=house.catalog, require_signature=self._guard
        )
        routes.setup(self.app.router)

    async def _guard(self, request: web.Request) -> Refused | None:
        return self.refusal

    def keep(self, stay: Stay) -> None:
        self.stays.kept[id_of(US, stay.uuid)] = stay


async def test_it_can_be_read_where_it_is_said_to_be(house: House, make_peer: MakePeer, aiohttp_client: Any) -> None:
    video = await house.remote_video(await make_peer())
    desk = Desk(house)
    client = await aiohttp_client(desk.app)
    desk.keep(stay_at(video))
    for spelling in (UUID, UUID.upper()):
        response = await client.get(f"/videos/local-viewer/{spelling}", headers={"Accept": "text/html"})
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/activity+json"
        document = await response.json()
    recorded = load_exchange("42")
    like = msgspec.json.decode(recorded.response_body)
    assert document["@context"] == like["@context"]
    # The recorded one knows no location.
    assert document.keys() - {"location"} == like.keys()
    assert document["id"] == id_of(US, UUID)
    assert document["object"] == video.url


async def test_everything_else_is_unknown(house: House, make_peer: MakePeer, aiohttp_client: Any) -> None:
    peer: FakePeer = await make_peer()
    theirs, ours = await house.remote_video(peer), await house.video()
    desk = Desk(house)
    client = await aiohttp_client(desk.app)
    other = {name: f"77e1d9ea-2f0b-4c2d-a2f5-5a4c7d3d8f1{n}" for n, name in enumerate(("local", "source", "gone"))}
    desk.keep(stay_at(ours, uuid=other["local"]))
    desk.keep(stay_at(theirs, uuid=other["source"], source=peer.host))
    desk.keep(dataclasses.replace(stay_at(theirs, uuid=other["gone"]), video=9_999))
    for name in (*other.values(), UUID, "1", "0" * 5_000, "%00", "..%2f"):
        response = await client.get(f"/videos/local-viewer/{name}")
        assert response.status == 404, name
        assert response.content_type == "application/problem+json" or "%2f" in name


async def test_a_signature_is_asked_for_where_every_fetch_needs_one(
    house: House, make_peer: MakePeer, aiohttp_client: Any
) -> None:
    video = await house.remote_video(await make_peer())
    desk = Desk(house)
    desk.keep(stay_at(video))
    desk.refusal = Refused("no_signature", "sign it", 401)
    client = await aiohttp_client(desk.app)
    assert (await client.get(f"/videos/local-viewer/{UUID}")).status == 401
