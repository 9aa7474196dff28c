"""PeerTube 6.3 follows us, imports our video and hears how many watch it; what it says of its viewers counts here."""

from __future__ import annotations

import re
from typing import Any

import pytest
from integration.conftest import MakeInstance
from integration.house import UUID, Instance, holds, wait_until
from integration.peertube import PUBLIC, PeerTube

LIFE_MS = 2_000
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
async def ours(instance: MakeInstance) -> Instance:
    made = await instance(views={"viewer_lifetime_ms": 2_000})
    await made.put_video()
    return made


async def test_it_follows_in_its_own_order_and_is_told_what_we_have(ours: Instance, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    (accept,) = await wait_until(lambda: peertube.of_type("Accept"))
    first = peertube.heard[0]
    assert first.target == "/accounts/peertube/inbox", "an Accept in the shared inbox is refused by PeerTube"
    assert accept["actor"] == ours.actor
    assert accept["object"]["type"] == "Follow"
    assert (accept["object"]["actor"], accept["object"]["object"]) == (peertube.actor, ours.actor)

    outbox = (await peertube.get(f"{ours.actor}/outbox")).body
    assert outbox["type"] == "OrderedCollection"
    assert outbox["totalItems"] == 1

    (announce,) = await wait_until(lambda: peertube.of_type("Announce"))
    assert (announce["actor"], announce["object"]) == (ours.actor, ours.id_of())
    assert peertube.heard[-1].target == "/inbox"
    assert PUBLIC in announce["to"]


async def test_the_video_it_imports_has_everything_it_asks_for(ours: Instance, peertube: PeerTube) -> None:
    video = (await peertube.get(ours.id_of())).body
    assert (video["type"], video["id"], video["uuid"]) == ("Video", ours.id_of(), UUID)
    assert 3 <= len(video["name"]) <= 120
    assert re.fullmatch(r"PT\d+S", video["duration"])
    assert type(video["views"]) is int
    assert re.fullmatch(INSTANT, video["published"])
    assert re.fullmatch(INSTANT, video["updated"])
    assert isinstance(video["url"], list)
    assert video["to"] == [entry for entry in video["to"] if isinstance(entry, str)] != []
    assert PUBLIC in video["to"]
    (icon,) = [icon for icon in video["icon"] if icon["mediaType"] == "image/jpeg"]
    assert icon["type"] == "Image"
    assert (type(icon["width"]), type(icon["height"])) == (int, int)
    picture = await ours.http.get(icon["url"])
    assert (picture.status, (await picture.read())[:3]) == (200, b"\xff\xd8\xff")
    for name in ("likes", "dislikes", "shares", "comments"):
        assert type((await peertube.get(video[name])).body["totalItems"]) is int

    group_url = next(one["id"] for one in video["attributedTo"] if one["type"] == "Group")
    group = (await peertube.get(group_url)).body
    _is_an_actor(group, "Group")
    person_url = next(one["id"] for one in group["attributedTo"] if one["type"] == "Person")
    _is_an_actor((await peertube.get(person_url)).body, "Person")
    _is_an_actor((await peertube.get(ours.actor)).body, "Application")


def _is_an_actor(actor: dict[str, Any], type_: str) -> None:
    assert actor["type"] == type_
    assert re.fullmatch(r"[A-Za-z0-9_.:-]+", actor["preferredUsername"])
    assert actor["inbox"].startswith(actor["id"])
    assert actor["endpoints"]["sharedInbox"]
    key = actor["publicKey"]
    assert key["owner"] == actor["id"]
    assert key["id"].startswith(actor["id"])
    assert key["publicKeyPem"].startswith("-----BEGIN PUBLIC KEY-----")


async def test_everything_it_hears_is_signed_as_it_demands(ours: Instance, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    await ours.watch("anna")
    await wait_until(lambda: peertube.totals(ours.id_of()) == [1])
    actor = (await peertube.get(ours.actor)).body
    assert len(peertube.heard) >= 3
    for heard in peertube.heard:
        assert heard.is_signed_by(actor["publicKey"]["publicKeyPem"]), heard
        assert 'algorithm="rsa-sha256"' in heard.headers["signature"]
        assert actor["id"] in heard.headers["signature"]
        assert re.fullmatch(r"SHA-256=[A-Za-z0-9+/]{43}=", heard.headers["digest"])
        assert heard.headers["content-type"].startswith(("application/activity+json", "application/ld+json"))
        assert all(activity["actor"] == ours.actor for activity in heard.activities)


async def test_it_hears_totals_in_the_shape_it_sends_itself(ours: Instance, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    await ours.watch("anna", "bert")
    await wait_until(lambda: peertube.totals(ours.id_of()))
    total = next(view for view in peertube.of_type("View") if "result" in view)
    recorded = peertube.recorded("30", "127.0.0.1:9002")
    assert set(recorded) - {"signature"} <= set(total)
    assert set(total["result"]) == set(recorded["result"])
    assert total["id"] == f"{ours.actor}/views/videos/1/{UUID}"
    assert re.fullmatch(INSTANT, total["expires"])
    assert all(isinstance(to, str) and to.startswith("http") for to in total["to"] + total["cc"])
    for heard in peertube.heard:
        if heard.activity["type"] == "Collection":
            assert heard.activity["totalItems"] == str(len(heard.activity["items"]))

    await wait_until(lambda: peertube.totals(ours.id_of())[-1] == 0, what="0 was not said when everybody had left")


async def test_a_total_never_expires_there_while_somebody_watches(ours: Instance, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    await ours.watch("anna")
    await wait_until(lambda: peertube.totals(ours.id_of()))

    async def stays() -> bool:
        await ours.watch("anna")
        return set(peertube.totals(ours.id_of())) == {1}

    await holds(stays, 3.5)
    assert 2 <= len(peertube.totals(ours.id_of())) <= 4, "every 1.5 s, and not more often"


async def test_counted_views_and_the_new_count_reach_it(ours: Instance, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    assert await ours.view("anna") == "counted"
    (view_id,) = await wait_until(lambda: peertube.counted(ours.id_of()))
    assert re.fullmatch(re.escape(f"{ours.actor}/views/videos/1/") + r"[0-9a-f-]{36}", view_id)
    await ours.flush_views()
    (update,) = await wait_until(lambda: peertube.of_type("Update"))
    assert (update["object"]["type"], update["object"]["views"]) == ("Video", 1)


async def test_its_viewers_and_views_count_here(ours: Instance, peertube: PeerTube) -> None:
    await ours.watch("anna")
    for name in ("one", "two", "one"):
        view = peertube.view(ours.id_of(), name, count=5_000, life_ms=LIFE_MS)
        await peertube.deliver(ours.inbox, view)
    assert await ours.viewers() == 3, "the same id is the same viewer, and the count of a guest means nothing"

    told = peertube.recorded("37", "127.0.0.1:9002", {ours.id_of(): _RECORDED_VIDEO})
    v1 = told | {"expires": peertube.view(ours.id_of(), life_ms=LIFE_MS)["expires"]}
    await peertube.deliver(ours.inbox, v1)
    assert await ours.viewers() == 4, "a viewer of protocol v1"

    plain = peertube.recorded("35", "127.0.0.1:9002", {ours.id_of(): _RECORDED_VIDEO})
    await peertube.deliver(ours.inbox, plain)
    again = await peertube.post(ours.inbox, plain)
    assert (again.status, again.reason) == (202, "duplicate")
    assert await ours.views() == 1

    batch = peertube.collection(
        [peertube.view(ours.id_of(), f"batched-{number}", life_ms=LIFE_MS) for number in range(3)]
    )
    await peertube.deliver(ours.inbox, batch)
    assert await ours.viewers() == 7
    await wait_until(lambda: ours.says(0), what="viewers of both kinds outlive their life")


_RECORDED_VIDEO = "http://127.0.0.1:9001/videos/watch/769a1aec-66f1-420f-a6ba-66e89a533026"


async def test_its_viewer_is_in_the_total_that_it_hears(ours: Instance, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    await peertube.deliver(ours.inbox, peertube.view(ours.id_of(), "one", count=1))
    await ours.watch("anna")
    await wait_until(lambda: 2 in peertube.totals(ours.id_of()))
    assert not any(view["actor"] != ours.actor for view in peertube.of_type("View")), "nothing is forwarded"


async def test_it_leaves_as_it_came(ours: Instance, peertube: PeerTube) -> None:
    await peertube.follow(ours.url)
    await wait_until(lambda: peertube.of_type("Announce"))
    undo = peertube.recorded("52", "127.0.0.1:9001", {ours.url: "http://127.0.0.1:9002"})
    follow_id = peertube.of_type("Accept")[0]["object"]["id"]
    undo["object"]["id"] = follow_id
    await peertube.deliver(f"{ours.actor}/inbox", undo)
    assert await ours.followers() == []
    heard = len(peertube.heard)
    await ours.watch("anna")

    async def silence() -> bool:
        return len(peertube.heard) == heard

    await holds(silence, 0.4)
