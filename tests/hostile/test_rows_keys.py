"""Rows 69 to 94: keyIds that lead astray, documents that lie, keys that are none."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hostile.peer import ACTIVITY_JSON, PARAMS, FakePeer, public_pem, rsa_key
from hostile.scene import Build, Scene
from hostile.table import ACCEPTED, ONE_VIEWER, Act, Row, check, rows
from support.wire import Answer

from federation.peers import Apply
from foundation import dialing
from foundation.addresses import is_public
from foundation.database import Transaction
from service.config import Resolver

ACTOR = "/accounts/peertube"
PUBLIC_ONLY = {"allow_private_addresses": False}
BY_SYSTEM = {**PUBLIC_ONLY, "resolver": Resolver.SYSTEM}
NOT_FETCHED = (401, "key_unavailable")
BAD_KEY_ID, BAD_ACTOR, KEY_OWNER = (401, "bad_key_id"), (401, "bad_actor"), (401, "key_owner")
FETCHES_PER_MINUTE = 30


@dataclass
class Trap:
    """A port on loopback that nobody may knock at."""

    port: int
    knocks: int = 0


@contextlib.asynccontextmanager
async def trap() -> AsyncIterator[Trap]:
    def knocked(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here.knocks += 1
        writer.close()

    # Every loopback address of IPv4, 127.0.0.2 and what 0.0.0.0 leads to among them.
    server = await asyncio.start_server(knocked, "0.0.0.0", 0)
    here = Trap(server.sockets[0].getsockname()[1])
    try:
        yield here
    finally:
        server.close()
        await server.wait_closed()


@contextlib.contextmanager
def names(*addresses: str) -> Any:
    """Every name resolves to these addresses for `BY_SYSTEM`; yields the list of names that were looked up."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    with patch.object(socket, "getaddrinfo", getaddrinfo):
        yield asked


def key_id(text: str) -> Act:
    return lambda scene: scene.say(key_id=text)


def inner(host: str, scheme: str = "http") -> Act:
    """A keyId on an address that nobody may be sent to."""

    async def act(scene: Scene) -> Answer:
        async with trap() as here:
            answer = await scene.say(key_id=f"{scheme}://{host}:{here.port}/accounts/x")
            assert here.knocks == 0
        return answer

    return act


def refused_addresses(outcome: tuple[int, str], *hosts: str) -> list[Row]:
    return [
        Row(f"071-{scheme}-{host}", outcome, inner(host, scheme), federation=PUBLIC_ONLY)
        for host in hosts
        for scheme in ("http", "https")
    ]


async def name_of_an_inner_address(scene: Scene) -> Answer:
    async with trap() as here:
        with names("127.0.0.1", "10.0.0.1") as asked:
            answer = await scene.say(key_id=f"http://peer.example:{here.port}/accounts/x")
        assert asked == ["peer.example"]
        assert here.knocks == 0
    return answer


async def port_outside_the_list(scene: Scene) -> Answer:
    with names("127.0.0.1") as asked:
        answer = await scene.say(key_id="http://peer.example:22/accounts/x")
    assert asked == []
    return answer


async def redirect_inside(scene: Scene) -> Answer:
    """The peer passes for a public host here; where it sends us is none."""
    async with trap() as here:
        scene.peer.responders[ACTOR] = redirect(f"http://127.0.0.2:{here.port}{ACTOR}")
        with patch.object(dialing, "is_public", lambda address: address == "127.0.0.1" or is_public(address)):
            answer = await scene.say()
        assert here.knocks == 0
    return answer


def redirect(location: str) -> Callable[[web.Request], Any]:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    return respond


def redirects(next_of: Callable[[int], str], count: int = 10) -> Act:
    def act(scene: Scene) -> Any:
        scene.peer.responders[ACTOR] = redirect(next_of(0))
        for number in range(count):
            scene.peer.responders[f"/r/{number}"] = redirect(next_of(number + 1))
        return scene.say()

    return act


def answered(respond: Callable[[web.Request], Any], **tampering: Any) -> Act:
    """The actor's address answers like that."""

    def act(scene: Scene) -> Any:
        scene.peer.responders[ACTOR] = respond
        return scene.say(**tampering)

    return act


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": ACTIVITY_JSON})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(1_000):
            await response.write(b" " * 100_000)
        pytest.fail("all of it was read")
    return response


def document(make: Callable[[FakePeer], dict[str, Any]], **tampering: Any) -> Act:
    """The actor's document reads like that."""

    def act(scene: Scene) -> Any:
        scene.peer.documents[ACTOR] = make(scene.peer)
        return scene.say(**tampering)

    return act


def served_as(content_type: str) -> Act:
    def act(scene: Scene) -> Any:
        async def respond(_: web.Request) -> web.Response:
            return web.json_response(scene.peer.actor_document(), content_type=content_type)

        scene.peer.responders[ACTOR] = respond
        return scene.say()

    return act


def pem(text: str) -> Act:
    return document(lambda peer: peer.actor_document(publicKey={"publicKeyPem": text}))


def spki(modulus_bits: int, exponent: int = 65537) -> str:
    modulus = (1 << modulus_bits) - 0x1234567
    public = RSAPublicNumbers(exponent, modulus).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


PRIVATE_PEM = rsa_key(7).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
# The key of RSA with e = 1 and 2048 bits, which no library would write: made from one with e = 3.
EXPONENT_1 = "\n".join(
    [
        "-----BEGIN PUBLIC KEY-----",
        base64.b64encode(base64.b64decode("".join(spki(2048, 3).splitlines()[1:-1]))[:-1] + b"\x01").decode(),
        "-----END PUBLIC KEY-----",
    ]
)


def key_document(owner: str, listed: bool) -> Act:
    """The keyId leads to a key that stands alone and names its owner."""

    def act(scene: Scene) -> Any:
        peer = scene.peer
        key = {"id": f"{peer.url}/keys/1", "owner": f"{peer.url}{owner}", "publicKeyPem": public_pem(peer.key)}
        peer.documents["/keys/1"] = key
        if listed:
            peer.documents[ACTOR] = peer.actor_document(publicKey=key)
        peer.documents["/keys/2"] = {**key, "id": f"{peer.url}/keys/2", "owner": key["id"]}
        return scene.say(key_id=key["id"])

    return act


async def junk(scene: Scene, count: int, *, addresses: int = 1) -> Answer:
    """Wrong signatures in the name of so many actors of the peer, from so many networks behind our proxy in turn."""
    answer = Answer(0)
    for number in range(count):
        answer = await scene.say(
            key_id=scene.peer.account(f"user{number}"),
            params=PARAMS.replace("{signature}", 'signature="AAAA"'),
            extra=(("X-Forwarded-For", f"10.0.{number % addresses}.1"),),
        )
    return answer


def many_unknown_keys(addresses: int) -> Act:
    return lambda scene: junk(scene, 300, addresses=addresses)


async def junk_of_one_address(scene: Scene) -> Answer:
    await junk(scene, 300)
    return await scene.say(extra=(("X-Forwarded-For", "198.51.100.77"),))


async def junk_before_a_follower_speaks(scene: Scene) -> Answer:
    """It follows since before the start, so its key was never fetched by this process."""
    peer, peers = scene.peer, scene.service.federation.peers

    async def follow(tx: Transaction) -> Apply:
        return await peers.add_follower(
            tx,
            actor=peer.actor,
            host=peer.host,
            inbox=f"{peer.actor}/inbox",
            shared_inbox=None,
            follow_id=f"{peer.actor}/follows/1",
            object_=scene.actor,
        )

    (await scene.service.ground.database.write(follow))()
    await junk(scene, 300, addresses=200)
    return await scene.say(extra=(("X-Forwarded-For", "192.0.2.1"),))


async def hanging_hosts(scene: Scene) -> Answer:
    """Three hosts never answer for thirty keys each; then somebody whom nobody knows yet speaks."""
    hung, over = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        hung.set()
        await over.wait()
        return web.Response(status=500)

    async with contextlib.AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(FakePeer(scene.clock, address=f"127.0.1.{n + 1}")) for n in range(3)]
        names = [(host, f"a{number}") for number in range(30) for host in hosts]
        for host, name in names:
            host.responders[f"/accounts/{name}"] = hang
        waiting = [
            asyncio.create_task(host.post(scene.inbox, scene.view(), key_id=host.account(name))) for host, name in names
        ]
        await hung.wait()
        for _ in range(50):
            # By then all of them have arrived.
            assert await scene.is_well()
        answer = await scene.say()
        over.set()
        await asyncio.gather(*waiting)
    return answer


async def rotated_behind_junk(scene: Scene) -> Answer:
    """A stranger's wrong signature asks for the key just before its owner changes it."""
    assert (await scene.say()).status == 204
    junk_params = PARAMS.replace("{signature}", 'signature="AAAA"')
    await scene.say(params=junk_params, extra=(("X-Forwarded-For", "192.0.2.1"),))
    scene.peer.key = rsa_key(10)
    scene.clock.advance(11_000)
    return await scene.say(extra=(("X-Forwarded-For", "192.0.2.77"),))


async def many_at_once(scene: Scene) -> Answer:
    answers = await asyncio.gather(*[scene.say() for _ in range(100)])
    assert {answer.status for answer in answers} == {204}
    return answers[0]


def rotated(times: int) -> Act:
    async def act(scene: Scene) -> Answer:
        answer = await scene.say()
        assert answer.status == 204
        for number in range(times):
            scene.clock.advance(1_000)
            scene.peer.key = rsa_key(10 + number)
            answer = await scene.say()
        return answer

    return act


def gone(status: int, farewell: bool) -> Act:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async def act(scene: Scene) -> Answer:
        peer = scene.peer
        peer.responders[ACTOR] = respond
        said = scene.view()
        if farewell:
            said = {"type": "Delete", "id": f"{peer.actor}/delete", "actor": peer.actor, "object": peer.actor}
        await scene.say(said)
        return await scene.say(said)

    return act


@rows(
    *[
        Row(f"069-{scheme}", BAD_KEY_ID, key_id(f"{scheme}://peer.example/x"))
        for scheme in ("ftp", "file", "gopher", "ws")
    ],
    Row("069-javascript", BAD_KEY_ID, key_id("javascript:alert(1)")),
    Row("069-data", BAD_KEY_ID, key_id("data:application/activity+json,{}")),
    Row("069-acct", BAD_KEY_ID, key_id("acct:peertube@peer.example")),
    Row("069-no-url", BAD_KEY_ID, key_id("peertube")),
    Row("070-http-where-https-is-required", BAD_KEY_ID, lambda scene: scene.say(), federation={"allow_http": False}),
    *refused_addresses(
        NOT_FETCHED,
        "127.0.0.1",
        "127.0.0.2",
        "[::1]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "100.64.0.1",
        "169.254.169.254",
        "198.18.0.1",
        "240.0.0.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "printer.local",
    ),
    *refused_addresses(BAD_KEY_ID, "2130706433", "0x7f.1", "127.1", "0177.0.0.1", "[fe80::1%25lo]"),
    Row("072-name-of-an-inner-address", NOT_FETCHED, name_of_an_inner_address, federation=BY_SYSTEM),
    Row("074-user-info", BAD_KEY_ID, lambda scene: scene.say(key_id=scene.peer.actor.replace("//", "//user@"))),
    Row("074-user-and-password", BAD_KEY_ID, lambda scene: scene.say(key_id=scene.peer.actor.replace("//", "//a:b@"))),
    Row("075-port-outside-the-list", NOT_FETCHED, port_outside_the_list, federation=BY_SYSTEM),
    Row("076-redirect-to-an-inner-address", NOT_FETCHED, redirect_inside, 1, federation=PUBLIC_ONLY),
    Row("077-redirect-chain", NOT_FETCHED, redirects(lambda number: f"/r/{number}"), 3),
    Row("077-redirect-loop", NOT_FETCHED, redirects(lambda _: ACTOR), 3),
    Row("077-redirect-nowhere", NOT_FETCHED, redirects(lambda _: "http://[", 1), 1),
    Row("079-document-of-a-megabyte", NOT_FETCHED, document(lambda peer: peer.actor_document(summary="x" * 10**6)), 1),
    Row("079-endless-document", NOT_FETCHED, answered(endless), 1),
    Row("080-html", BAD_ACTOR, served_as("text/html"), 1),
    Row("080-plain-json", BAD_ACTOR, served_as("application/json"), 1),
    Row("080-an-image", BAD_ACTOR, served_as("image/png"), 1),
    Row("081-id-on-another-host", BAD_ACTOR, document(lambda p: p.actor_document(id="https://a.example/a")), 1),
    Row("081-no-id", BAD_ACTOR, document(lambda peer: peer.actor_document(id=None)), 1),
    Row(
        "082-another-key-id",
        KEY_OWNER,
        document(lambda p: p.actor_document(publicKey={"id": f"{p.account('other')}#main-key"})),
        1,
    ),
    Row("083-another-owner", KEY_OWNER, document(lambda p: p.actor_document(publicKey={"owner": p.account("x")})), 1),
    Row("084-key-its-owner-does-not-list", KEY_OWNER, key_document(ACTOR, listed=False), 2),
    Row("084-key-its-owner-lists", ACCEPTED, key_document(ACTOR, listed=True), 2, ONE_VIEWER),
    Row("085-owner-loop", BAD_ACTOR, key_document("/keys/2", listed=False), 2),
    Row("085-its-own-owner", BAD_ACTOR, key_document("/keys/1", listed=False), 2),
    Row("086-512-bits", (401, "weak_key"), pem(spki(512)), 1),
    Row("086-1024-bits", (401, "weak_key"), pem(public_pem(rsa_key(3, 1024))), 1),
    Row("087-exponent-1", (401, "bad_key"), pem(EXPONENT_1), 1),
    Row("087-garbage", (401, "bad_key"), pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), 1),
    Row("087-no-pem", (401, "bad_key"), pem("123"), 1),
    Row("087-no-text", BAD_ACTOR, document(lambda p: p.actor_document(publicKey={"publicKeyPem": 1})), 1),
    Row("088-private-key", (401, "private_key"), pem(PRIVATE_PEM), 1),
    Row("089-pem-of-200-kB", (401, "bad_key"), pem(public_pem(rsa_key()) + "A" * 200_000), 1),
    Row("090-many-unknown-keys", (429, "too_many_fetches"), many_unknown_keys(200), 2 * FETCHES_PER_MINUTE),
    Row("090-many-of-one-address", (429, "too_many_fetches"), many_unknown_keys(1), FETCHES_PER_MINUTE // 3),
    Row("090-junk-of-another-address", ACCEPTED, junk_of_one_address, FETCHES_PER_MINUTE // 3 + 1, ONE_VIEWER),
    Row(
        "090-junk-before-a-follower-speaks",
        ACCEPTED,
        junk_before_a_follower_speaks,
        2 * FETCHES_PER_MINUTE + 1,
        {"ours": 1, "followers": 1},
    ),
    Row("091-hosts-that-hang", ACCEPTED, hanging_hosts, 1, ONE_VIEWER),
    Row("091-a-hundred-at-once", ACCEPTED, many_at_once, 1, ONE_VIEWER),
    Row("092-rotated-once", ACCEPTED, rotated(1), 2, ONE_VIEWER),
    Row("092-rotated-behind-junk", ACCEPTED, rotated_behind_junk, 3, ONE_VIEWER),
    Row("092-rotated-again-at-once", (401, "wrong_signature"), rotated(2), 2, ONE_VIEWER),
    Row("093-gone", (401, "actor_gone"), gone(410, farewell=False), 1),
    Row("093-not-found", (401, "actor_gone"), gone(404, farewell=False), 1),
    Row("093-gone-says-good-bye", (202, "unknown_object"), gone(410, farewell=True), 1),
    Row("094-our-own-key", (401, "own_host"), lambda scene: scene.say(key_id=f"{scene.actor}#main-key")),
)
async def test_row(row: Row, build: Build) -> None:
    await check(await build(**row.federation), row)


async def test_row_088_is_logged_without_its_content(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    scene = await build()
    caplog.set_level("DEBUG")
    answer = await pem(PRIVATE_PEM)(scene)
    secret = PRIVATE_PEM.splitlines()[1]
    assert answer.reason == "private_key"
    assert secret.encode() not in answer.body
    assert secret not in caplog.text
    assert all(secret not in entry.detail for entry in scene.service.entrance.quarantine.newest(10))


async def test_row_094_asks_nobody(build: Build) -> None:
    scene = await build()
    await scene.say(key_id=f"{scene.actor}#main-key")
    asked = [
        sample.value
        for metric in scene.service.ground.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "fediviews_fetch_requests_total"
    ]
    assert asked
    assert sum(asked) == 0


# First contacts of hosts that nobody here knows


def client_at(address: str) -> list[tuple[str, str]]:
    """Loopback is a trusted proxy."""
    return [("X-Forwarded-For", address)]


@pytest.mark.parametrize("client", ["127.0.0.2", "203.0.113.9"], ids=["its own address", "a newcomer's"])
async def test_junk_in_its_name_does_not_put_off_a_hosts_first_message(build: Build, client: str) -> None:
    scene = await build()
    async with FakePeer(scene.clock, number=1, address="127.0.0.2") as new:
        refused = []
        for number in range(4 * FETCHES_PER_MINUTE):
            answer = await scene.say(
                key_id=new.account(f"nobody{number}"), extra=client_at(f"10.0.{number % 4}.{number // 4 + 1}")
            )
            refused.append(answer.status)
        assert refused.count(429) >= 3 * FETCHES_PER_MINUTE - 4
        view = new.view(scene.ours.url, "viewer")
        answer = await new.post(scene.inbox, view, extra=client_at("10.0.1.99"))
        assert answer.status == 429, "from where the junk comes there is nothing left"
        assert (await new.post(scene.inbox, view, extra=client_at(client))).status == 204


@pytest.mark.parametrize("client", ["127.0.0.2", "203.0.113.9"], ids=["its own address", "a newcomer's"])
async def test_hosts_that_hang_do_not_put_off_a_first_message(build: Build, client: str) -> None:
    scene = await build()
    end = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await end.wait()
        return web.Response(status=500)

    async def until_all_places_are_taken() -> None:
        while sum(len(peer.asked) for peer in hanging) < 64:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async with contextlib.AsyncExitStack() as stack:
        hanging = [
            await stack.enter_async_context(FakePeer(scene.clock, address=f"127.0.1.{n + 1}")) for n in range(20)
        ]
        new = await stack.enter_async_context(FakePeer(scene.clock, number=1, address="127.0.0.2"))
        for peer in hanging:
            peer.responders.update({f"/accounts/a{number}": hang for number in range(4)})
        asked = [
            asyncio.create_task(scene.say(key_id=peer.account(f"a{number}"), extra=client_at(f"10.0.{place % 3}.1")))
            for place, peer in enumerate(hanging)
            for number in range(4)
        ]
        await asyncio.wait_for(until_all_places_are_taken(), 20)
        answer = await new.post(scene.inbox, new.view(scene.ours.url, "viewer"), extra=client_at(client))
        assert answer.status == 204
        end.set()
        assert {answer.status for answer in await asyncio.gather(*asked)} <= {401, 503}
    assert await scene.is_well()
