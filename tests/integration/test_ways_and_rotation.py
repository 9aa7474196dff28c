"""Schemes and keys between real instances: what a peer wants is found out, and a rotation loses nothing."""

from __future__ import annotations

import json
from typing import Any

import yaml
from aiohttp import web
from hostile.peer import FakePeer, Responder
from integration.conftest import MakeInstance, Spawn, befriend
from integration.house import UUID, Client, Instance, run, wait_until

from federation.keys import RemoteKey, load_public_key
from federation.own_keys import rotate_keys
from federation.signatures.verifier import Profile, SignedRequest, check, inspect
from foundation.clock import SystemClock
from foundation.errors import Refused
from service.config import Peer
from service.config.words import Signatures


async def viewers(client: Client, number: int, video: str = UUID) -> None:
    async def shown() -> bool:
        return await client.viewers(video) == number

    await wait_until(shown, timeout=20, what=f"{client.host} does not say {number}")


def key_ids(document: dict[str, Any]) -> tuple[str, list[str]]:
    key = document["publicKey"]["id"].partition("#")[2]
    return key, [item["id"].partition("#")[2] for item in document.get("assertionMethod", [])]


async def test_every_scheme_between_two_instances(instance: MakeInstance) -> None:
    """The follower speaks to the origin as it is told to; the origin reads all of them."""
    for scheme in Signatures:
        origin = await instance()
        peers = (Peer(host=origin.host, signatures=scheme),)
        follower = await instance(federation={"ed25519": True}, peers=peers)
        await befriend(origin, follower)
        await origin.put_video()
        await wait_until(follower.video)
        await follower.watch("anna")
        await viewers(origin, 1)
        assert key_ids(await actor_of(follower)) == ("main-key", ["ed25519-key"])


async def test_a_peer_that_wants_rfc_9421(instance: MakeInstance) -> None:
    """It refuses the draft with 401: each message is taken once, and after the first one at the first attempt."""
    ours = await instance()
    async with FakePeer(SystemClock()) as peer:

        async def only_rfc9421(request: web.Request) -> web.Response:
            return web.Response(status=204 if "Signature-Input" in request.headers else 401)

        answer_inboxes(peer, only_rfc9421)
        await follow_and_leave(ours, peer)
        assert [(said.activity["type"], "signature-input" in said.headers) for said in peer.delivered] == [
            ("Follow", False),
            ("Follow", True),
            ("Undo", True),
        ]


async def test_a_peer_that_remembers_our_old_key(instance: MakeInstance) -> None:
    """As PeerTube does: 403 for whatever another key signed, and no second look at the actor."""
    ours = await instance()
    pem = (await actor_of(ours))["publicKey"]["publicKeyPem"]
    async with FakePeer(SystemClock()) as peer:

        async def by_the_first_key(request: web.Request) -> web.Response:
            signed = SignedRequest("POST", request.raw_path, tuple(request.headers.items()), await request.read())
            inspected = inspect(signed, Profile(frozenset({peer.host})), SystemClock().now_ms())
            assert not isinstance(inspected, Refused)
            key = load_public_key(pem)
            assert not isinstance(key, Refused)
            verdict = check(inspected, RemoteKey(inspected.key_id, ours.actor, ours.host, key))
            return web.Response(status=403 if isinstance(verdict, Refused) else 204)

        answer_inboxes(peer, by_the_first_key)
        rotate_keys(ours.service.config.storage.directory, SystemClock().now_ms())
        await ours.service.housekeeping.reload_keys()
        assert key_ids(await actor_of(ours))[0] == "main-key-2"
        await follow_and_leave(ours, peer)
        keys = [said.headers["signature"].partition("#")[2].partition('"')[0] for said in peer.delivered]
        assert keys == ["main-key-2", "main-key", "main-key"]


def answer_inboxes(peer: FakePeer, answer: Responder) -> None:
    for path in ("/inbox", "/accounts/peertube/inbox"):
        peer.responders[path] = answer


async def follow_and_leave(ours: Instance, peer: FakePeer) -> None:
    """A Follow and its Undo, each once it was taken."""
    await ours.ask("POST", "/api/v1/server/following", {"hosts": [peer.actor]})
    await wait_until(lambda: len(peer.delivered) == 2)
    await ours.ask("DELETE", f"/api/v1/server/following/{peer.host}")
    await wait_until(lambda: len(peer.delivered) == 3)


async def test_keys_rotate_under_two_running_services(spawn: Spawn) -> None:
    origin_process, follower_process = spawn(), spawn(federation={"ed25519": True})
    origin, follower = await origin_process.start(), await follower_process.start()
    await befriend(origin, follower)
    await origin.put_video()
    await wait_until(follower.video)
    await follower.watch("anna")
    await origin.watch("bert")
    await viewers(origin, 2)
    await viewers(follower, 2)

    for process, client in ((origin_process, origin), (follower_process, follower)):
        rotated = await run("keys", process.config, "rotate")
        assert rotated.status == 0, rotated.err
        assert "no restart is needed" in rotated.err
        assert rotated.out.startswith("instance.pem\t")
        directory = process.config.parent / "data"
        assert (directory / "instance-2.pem").stat().st_mode & 0o777 == 0o600

        async def publishes_it(client: Client = client) -> bool:
            document = await actor_of(client)
            return key_ids(document)[0] == "main-key-2"

        await wait_until(publishes_it, timeout=20)
    assert key_ids(await actor_of(follower)) == ("main-key-2", ["ed25519-key-2", "ed25519-key"])

    # Both hold the other's old key: each looks again when a signature fails, and nothing is lost.
    await follower.watch("carl")
    await viewers(origin, 3)
    await origin.watch("dora")
    await viewers(follower, 4)
    listed = await run("keys", follower_process.config, "list")
    assert [line.split("\t")[0] for line in listed.out.splitlines()] == [
        "instance.pem",
        "instance-2.pem",
        "instance-ed25519.pem",
        "instance-ed25519-2.pem",
    ]
    again = await run("keys", follower_process.config, "rotate", "--revoke")
    assert again.status == 0
    assert again.out.splitlines()[0].startswith("instance-3.pem")
    assert yaml.safe_load(follower_process.config.read_text())["federation"]["ed25519"] is True


async def actor_of(client: Client) -> dict[str, Any]:
    async with client.http.get(client.actor, headers={"Accept": "application/activity+json"}) as answer:
        document: dict[str, Any] = json.loads(await answer.read())
        return document
