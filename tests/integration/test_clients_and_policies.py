"""Host applications at the outbox; instances that answer signed questions only, or listed peers only."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hostile.peer import public_pem, rsa_key
from integration.conftest import MakeInstance, befriend
from integration.house import NOWHERE, OTHER_UUID, TOKEN, UUID, Instance, Reply, holds, wait_until
from integration.peertube import PeerTube

from federation.signatures.digest import sha256_digest
from foundation.clock import SystemClock, iso_ms
from foundation.httpdate import format_http_date
from foundation.principal import Role
from inbox.viewing import viewer_key
from service.config import Accept, Peer, Secret, Token

OUTBOX = "/accounts/peertube/outbox"
APPLICATION_KEY = 7
TOKENS = (
    Token(name="admin", role=Role.ADMIN, value=Secret(TOKEN)),
    Token(name="reader", role=Role.STATS, value=Secret("a-token-for-reading")),
    Token(name="signing-app", role=Role.HOST, public_key=public_pem(rsa_key(APPLICATION_KEY))),
)


def posted(video: str, viewer: str, *, life_ms: int | None = 60_000, **changes: Any) -> dict[str, Any]:
    view: dict[str, Any] = {"type": "View", "object": video, "viewer": viewer}
    if life_ms is not None:
        view["expires"] = iso_ms(SystemClock().now_ms() + life_ms)
    return view | changes


async def signed_post(client: Instance, activity: object, key: int = APPLICATION_KEY) -> Reply:
    """As a host application that holds a key pair would post."""
    body = json.dumps(activity).encode()
    headers = {
        "Host": client.host,
        "Date": format_http_date(SystemClock().now_ms()),
        "Digest": sha256_digest(body),
        "Content-Type": "application/activity+json",
    }
    lines = [f"(request-target): post {OUTBOX}"]
    lines += [f"{name}: {headers[name.title()]}" for name in ("host", "date", "digest")]
    signature = base64.b64encode(rsa_key(key).sign("\n".join(lines).encode(), PKCS1v15(), SHA256())).decode()
    headers["Signature"] = (
        'keyId="signing-app",algorithm="rsa-sha256",headers="(request-target) host date digest",'
        f'signature="{signature}"'
    )
    return await client.ask("POST", OUTBOX, body, headers=headers, admin=False)


async def test_a_view_posted_to_the_outbox_is_a_viewer_of_ours_everywhere(instance: MakeInstance) -> None:
    origin, follower = await instance(tokens=TOKENS), await instance(tokens=TOKENS)
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    video = origin.id_of()

    created = await follower.ask("POST", OUTBOX, posted(video, "anna@app"))
    assert created.status == 201, created
    assert created.headers["location"].startswith(f"{follower.actor}/views/videos/")
    assert (await follower.ask("POST", OUTBOX, posted(video, "anna@app"))).status == 201
    await wait_until(lambda: origin.says(1))
    await wait_until(lambda: follower.says(1))
    assert (await signed_post(follower, posted(video, "bert@app"))).status == 201
    await wait_until(lambda: origin.says(2))
    assert "anna" not in str((await origin.ask("GET", f"/api/v1/videos/{UUID}/viewers?explain=1")).body)

    counted = await signed_post(follower, posted(video, "bert@app", life_ms=None))
    assert counted.status == 201
    again = await signed_post(follower, posted(video, "bert@app", life_ms=None))
    assert (again.status, again.body) == (200, {"counted": False})

    async def one_view() -> bool:
        return await origin.views() == 1

    await wait_until(one_view)
    await holds(one_view, 0.2)


async def test_the_location_of_a_posted_view_is_the_id_it_goes_out_under(instance: MakeInstance) -> None:
    origin, follower = await instance(tokens=TOKENS), await instance(tokens=TOKENS)
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    viewer, counted = posted(origin.id_of(), "anna"), posted(origin.id_of(), "anna", life_ms=None)
    places = [(await follower.ask("POST", OUTBOX, view)).headers["location"] for view in (viewer, viewer, counted)]
    assert places[0] == places[1] != places[2]
    await wait_until(lambda: origin.says(1))

    # The viewer that the origin knows is the one by that name: told again by it, there is still one.
    video = await origin.service.views.catalog.by_url(origin.id_of())
    assert video is not None
    now_ms = SystemClock().now_ms()
    known = viewer_key(places[0])
    assert await origin.service.ground.live.counters.has(video.number, follower.host, known, now_ms)


async def test_who_may_not_post_to_the_outbox(instance: MakeInstance) -> None:
    ours = await instance(tokens=TOKENS)
    await ours.put_video()
    view = posted(ours.id_of(), "anna")
    assert (await ours.ask("POST", OUTBOX, view, admin=False)).status == 401
    reader = {"Authorization": "Bearer a-token-for-reading"}
    assert (await ours.ask("POST", OUTBOX, view, headers=reader, admin=False)).status == 403
    assert (await signed_post(ours, view, key=8)).status == 401
    assert (await ours.ask("POST", OUTBOX, {**view, "type": "Follow"})).status == 400
    assert (await ours.ask("POST", OUTBOX, posted(ours.id_of(), "anna", life_ms=-1_000))).status == 400
    assert (await ours.ask("POST", OUTBOX, posted(f"{ours.url}/videos/watch/nothing", "anna"))).status == 404
    assert await ours.viewers() == 0


async def test_with_signed_fetch_documents_want_a_signature(instance: MakeInstance, peertube: PeerTube) -> None:
    ours = await instance(federation={"signed_fetch": True})
    await ours.put_video()
    for path in (f"/videos/watch/{UUID}", "/accounts/owner", "/video-channels/main", OUTBOX):
        assert (await ours.document(path)).status == 401, path
        assert (await peertube.get(ours.url + path)).status == 200, path
    for path in ("/accounts/peertube", "/.well-known/nodeinfo", "/nodeinfo/2.0"):
        assert (await ours.document(path)).status == 200, path
    assert await ours.viewers() == 0, "the REST API is another matter"
    assert (await ours.ask("POST", f"/api/v1/server/peers/{peertube.host}/block")).status == 204
    assert (await peertube.get(ours.id_of())).status == 403


async def test_two_instances_with_signed_fetch_understand_each_other(instance: MakeInstance) -> None:
    strict = {"signed_fetch": True}
    origin, follower = await instance(federation=strict), await instance(federation=strict)
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    await follower.watch("anna")
    await origin.watch("bert")
    await wait_until(lambda: origin.says(2))
    await wait_until(lambda: follower.says(2))


async def test_a_closed_federation_knows_the_listed_only(instance: MakeInstance, peertube: PeerTube) -> None:
    friend = await instance()
    closed = await instance(federation={"open": False}, peers=(Peer(host=friend.host, follow=True),))
    await friend.put_video()
    await closed.put_video(OTHER_UUID)
    await wait_until(closed.video, what="a listed peer is not followed")
    await befriend(closed, friend)
    await wait_until(lambda: friend.video(OTHER_UUID))

    answer = await peertube.post(closed.inbox, peertube.view(closed.id_of(OTHER_UUID)))
    assert (answer.status, answer.reason) == (403, "not_listed")
    refused = await closed.ask("POST", "/api/v1/server/following", {"hosts": [peertube.host]})
    assert refused.status == 403
    brought = await closed.ask("POST", "/api/v1/videos", {"url": peertube.video_url(UUID)})
    assert brought.status == 403
    assert not [get for get in peertube.gets if "/videos/" in get.target]
    await friend.watch("anna", video=OTHER_UUID)
    await wait_until(lambda: closed.says(1, video=OTHER_UUID))


@pytest.mark.parametrize("accept", [(), ("views",)])
async def test_what_is_not_accepted_of_a_peer_changes_nothing(
    instance: MakeInstance, peertube: PeerTube, accept: tuple[str, ...]
) -> None:
    kinds = tuple(Accept(word) for word in accept)
    ours = await instance(peers=(Peer(host=peertube.host, accept=kinds),))
    await ours.put_video()
    answer = await peertube.post(ours.inbox, peertube.view(ours.id_of()))
    assert (answer.status, answer.reason) == (202, "not_accepted")
    plain = await peertube.post(ours.inbox, peertube.view(ours.id_of(), "plain", life_ms=None))
    assert plain.status == (204 if accept else 202)
    assert (await ours.viewers(), await ours.views()) == (0, len(accept))
    assert await ours.viewers(OTHER_UUID) == NOWHERE
