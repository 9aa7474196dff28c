from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from house import PEERTUBE, US, UUIDS, House, MakePeer

from federation.keys import KeyPair, load_public_key
from federation.peers import FollowState
from federation.signatures.signer import Signer
from federation.signatures.verifier import Profile
from foundation.clock import iso_ms
from foundation.errors import Refused, StorageUnavailable
from foundation.principal import Principal, Role
from foundation.tokens import TokenBook, TokenGrant
from outbox.client_auth import ClientAuthenticator, SignedClient
from outbox.client_routes import ClientRoutes, read_view
from outbox.follow_routes import FollowRoutes
from outbox.routes import DocumentRoutes
from views.ids import short_uuid
from views.model import Privacy, Video

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ADMIN = {"Authorization": "Bearer admin-token"}
HOST = {"Authorization": "Bearer hosts-token"}
STATS = {"Authorization": "Bearer stats-token"}
CLIENT_KEYS = KeyPair.generate()


class Views:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int | None]] = []
        self.counted = True
        self.down = False

    async def watching(self, video: Video, viewer: str, expires_ms: int) -> str:
        if self.down:
            raise StorageUnavailable("gone")
        self.calls.append((video.url, viewer, expires_ms))
        return "stay-of-" + viewer

    async def count(self, video: Video, viewer: str) -> str | None:
        self.calls.append((video.url, viewer, None))
        return "view-of-" + viewer if self.counted else None


class Roof:
    """What service would wire."""

    def __init__(self, house: House) -> None:
        self.views = Views()
        self.pages: list[tuple[str, Mapping[str, Any]]] = []
        self.refusal: Refused | None = None
        tokens = TokenBook(
            [
                TokenGrant("admin", Role.ADMIN, "admin-token"),
                TokenGrant("host", Role.HOST, "hosts-token"),
                TokenGrant("stats", Role.STATS, "stats-token"),
            ]
        )
        key = load_public_key(CLIENT_KEYS.public_pem)
        assert not isinstance(key, Refused)
        auth = ClientAuthenticator(
            tokens=tokens,
            profile=Profile(frozenset({"us.example:8080"})),
            clock=house.clock,
            clients=[SignedClient(Principal("app", Role.HOST), key)],
        )
        self.app = web.Application()
        DocumentRoutes(
            identity=house.identity,
            videos=house.catalog,
            collections=house.door.collections,
            shown=self._shown(house),
            channel_exists=self._channel_exists,
            render=self._render,
            require_signature=self._require,
        ).setup(self.app.router)
        ClientRoutes(
            identity=house.identity,
            authenticate=auth.authenticate,
            videos=house.catalog,
            local_views=self.views,
            clock=house.clock,
            max_expires_ms=600_000,
        ).setup(self.app.router)
        FollowRoutes(identity=house.identity, tokens=tokens, peers=house.peers, following=house.door.following).setup(
            self.app.router
        )

    def _shown(self, house: House) -> Callable[[Video], Awaitable[int]]:
        async def shown(video: Video) -> int:
            return (await house.shown_many([video]))[0].viewers

        return shown

    async def _channel_exists(self, name: str) -> bool:
        return name == "main"

    def _render(self, request: web.Request, template: str, data: Mapping[str, Any]) -> web.Response:
        self.pages.append((template, data))
        return web.Response(text=template, content_type="text/html")

    async def _require(self, request: web.Request) -> Refused | None:
        return self.refusal


@pytest.fixture
def roof(house: House) -> Roof:
    return Roof(house)


@pytest.fixture
async def client(roof: Roof, aiohttp_client: Any) -> TestClient[web.Request, web.Application]:
    found: TestClient[web.Request, web.Application] = await aiohttp_client(roof.app)
    return found


Client = TestClient[web.Request, web.Application]


async def test_a_video_for_machines_and_for_people(house: House, roof: Roof, client: Client) -> None:
    video = await house.video()
    house.show(video, 5)
    for path in (f"/videos/watch/{video.uuid}", f"/w/{short_uuid(video.uuid)}", f"/w/{video.uuid}"):
        answer = await client.get(path, headers={"Accept": "application/activity+json"})
        assert answer.status == 200
        assert answer.content_type == "application/activity+json"
        assert answer.headers["Vary"] == "Accept"
        assert (await answer.json(content_type=None))["id"] == video.url
        answer = await client.get(path, headers=HTML)
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["Vary"] == "Accept"
    template, data = roof.pages[0]
    assert template == "video.html"
    assert data["video"] == video
    assert data["viewers"] == 5


async def test_an_integer_leads_to_the_page_of_a_public_video(
    house: House, client: Client, make_peer: MakePeer
) -> None:
    public, theirs = await house.video(), await house.remote_video(await make_peer())
    hidden = [await house.video(1, privacy=Privacy.UNLISTED), await house.video(2, privacy=Privacy.PRIVATE)]
    for headers in ({}, HTML):
        for video in (public, theirs):
            answer = await client.get(f"/w/{video.number}", headers=headers, allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (302, f"/w/{short_uuid(video.uuid)}")
            assert answer.headers["Vary"] == "Accept"
        said = set()
        for number in [video.number for video in hidden] + [10**6, 10**17]:
            answer = await client.get(f"/w/{number}", headers=headers, allow_redirects=False)
            assert answer.status == 404
            said.add(await answer.text())
        assert len(said) == 1


@pytest.mark.parametrize("path", ["", "/announces", "/announces/1", "/likes", "/dislikes", "/comments"])
@pytest.mark.parametrize("name", ["private", "unknown", "remote", "nonsense"])
async def test_what_nobody_may_know_is_not_there(
    house: House, client: Client, make_peer: MakePeer, path: str, name: str
) -> None:
    uuid = {"unknown": UUIDS[9], "nonsense": "not-a-uuid"}.get(name)
    if name == "private":
        uuid = (await house.video(privacy=Privacy.PRIVATE)).uuid
    if name == "remote":
        uuid = (await house.remote_video(await make_peer())).uuid
    for headers in ({}, HTML):
        answer = await client.get(f"/videos/watch/{uuid}{path}", headers=headers)
        # People see the number of somebody else's video; to instances it is known by its own id alone.
        page = name == "remote" and path == "" and headers == HTML
        assert answer.status == (200 if page else 404)
        if page:
            continue
        assert answer.content_type == "application/problem+json"


async def test_below_a_video(house: House, client: Client) -> None:
    video, unlisted = await house.video(), await house.video(1, privacy=Privacy.UNLISTED)
    for name in ("likes", "dislikes", "comments"):
        document = await (await client.get(f"/videos/watch/{video.uuid}/{name}")).json(content_type=None)
        assert document["id"] == f"{video.url}/{name}"
        assert document["totalItems"] == 0
    shares = await (await client.get(f"/videos/watch/{video.uuid}/announces")).json(content_type=None)
    assert (shares["totalItems"], shares["first"]) == (1, f"{video.url}/announces?page=1")
    page = await (await client.get(f"/videos/watch/{video.uuid}/announces?page=1")).json(content_type=None)
    assert page["orderedItems"] == [f"{video.url}/announces/1"]
    announce = await (await client.get(f"/videos/watch/{video.uuid}/announces/1")).json(content_type=None)
    assert (announce["type"], announce["id"]) == ("Announce", f"{video.url}/announces/1")
    shares = await (await client.get(f"/videos/watch/{unlisted.uuid}/announces")).json(content_type=None)
    assert shares["totalItems"] == 0
    assert (await client.get(f"/videos/watch/{unlisted.uuid}/announces/1")).status == 404


async def test_the_outbox_holds_announces_and_totals_of_public_videos(house: House, client: Client) -> None:
    videos = [await house.video(n) for n in range(25)]
    hidden = [await house.video(30, privacy=Privacy.PRIVATE), await house.video(31, privacy=Privacy.UNLISTED)]
    for video in (videos[3], *hidden):
        house.show(video, 4)
    await house.until(lambda: len(house.door.board) == 2)
    outbox = await (await client.get("/accounts/peertube/outbox")).json(content_type=None)
    assert outbox["totalItems"] == 26
    url, pages = outbox["first"], []
    while url is not None:
        page = await (await client.get(url.removeprefix(US))).json(content_type=None)
        pages.append(page["orderedItems"])
        url = page.get("next")
    items = [item for page in pages for item in page]
    assert len(items) == 26
    assert {item["object"] for item in items if item["type"] == "Announce"} == {video.url for video in videos}
    [total] = [item for item in items if item["type"] == "View"]
    assert total["object"] == videos[3].url
    assert total["result"]["userInteractionCount"] == 4
    assert not any(video.url in str(pages) for video in hidden)


async def test_an_empty_outbox_is_a_collection(client: Client) -> None:
    outbox = await (await client.get("/accounts/peertube/outbox")).json(content_type=None)
    assert outbox["totalItems"] == 0
    assert "first" not in outbox


@pytest.mark.parametrize("page", ["0", "-1", "x", "", "9999999", "1.5"])
async def test_pages_are_numbers(client: Client, page: str) -> None:
    assert (await client.get("/accounts/peertube/outbox", params={"page": page})).status == 400


async def test_followers_and_following_are_collections(
    house: House, roof: Roof, client: Client, make_peer: MakePeer
) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    for name, total in (("followers", 1), ("following", 0)):
        document = await (await client.get(f"/accounts/peertube/{name}")).json(content_type=None)
        assert document["totalItems"] == total
    page = await (await client.get("/accounts/peertube/followers?page=1")).json(content_type=None)
    assert page["orderedItems"] == [peer.actor]
    await client.get("/accounts/peertube/followers", headers=HTML)
    assert roof.pages[-1][0] == "actor.html"
    assert roof.pages[-1][1]["items"] == [(peer.actor, peer.actor)]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/accounts/owner/outbox", 200),
        ("/accounts/owner/followers", 200),
        ("/accounts/nobody/outbox", 404),
        ("/video-channels/main/outbox", 200),
        ("/video-channels/main/followers", 200),
        ("/video-channels/none/following", 404),
    ],
)
async def test_the_other_actors_have_empty_collections(client: Client, path: str, status: int) -> None:
    answer = await client.get(path)
    assert answer.status == status
    if status == 200:
        document = await answer.json(content_type=None)
        assert (document["id"], document["totalItems"]) == (US + path, 0)


async def test_documents_can_ask_for_a_signature(house: House, roof: Roof, client: Client) -> None:
    video = await house.video()
    roof.refusal = Refused("no_signature", "sign it", 401)
    assert (await client.get(f"/videos/watch/{video.uuid}")).status == 401
    assert (await client.get(f"/videos/watch/{video.uuid}", headers=HTML)).status == 200
    assert (await client.get("/accounts/peertube/outbox")).status == 401


async def test_the_icon_is_a_jpeg_of_the_stated_size(client: Client) -> None:
    answer = await client.get("/static/video-icon.jpg")
    body = await answer.read()
    assert answer.content_type == "image/jpeg"
    assert body[:3] == b"\xff\xd8\xff"
    assert body[-2:] == b"\xff\xd9"
    frame = body.index(b"\xff\xc0")
    assert (int.from_bytes(body[frame + 7 : frame + 9]), int.from_bytes(body[frame + 5 : frame + 7])) == (280, 157)


# The client side


def view(video: Video, **members: Any) -> bytes:
    return msgspec.json.encode({"type": "View", "object": video.url, "viewer": "v1", **members})


async def post(client: Client, body: bytes, headers: Mapping[str, str] = HOST) -> Any:
    typed = {"Content-Type": "application/activity+json", **headers}
    return await client.post("/accounts/peertube/outbox", data=body, headers=typed)


async def test_an_application_posts_viewers_and_views(
    house: House, roof: Roof, client: Client, make_peer: MakePeer
) -> None:
    ours, theirs = await house.video(), await house.remote_video(await make_peer())
    expires_ms = house.clock.now_ms() + 60_000
    for video in (ours, theirs):
        answer = await post(client, view(video, expires=iso_ms(expires_ms)))
        assert answer.status == 201
        place = f"{US}/accounts/peertube/views/videos/{video.number}/"
        assert answer.headers["Location"] == place + "stay-of-v1"
        counted = await post(client, view(video), ADMIN)
        assert (counted.status, counted.headers["Location"]) == (201, place + "view-of-v1")
    assert roof.views.calls == [
        (ours.url, "v1", expires_ms),
        (ours.url, "v1", None),
        (theirs.url, "v1", expires_ms),
        (theirs.url, "v1", None),
    ]


async def test_lives_are_cut_and_counted_views_counted_once(house: House, roof: Roof, client: Client) -> None:
    video = await house.video()
    far = iso_ms(house.clock.now_ms() + 86_400_000)
    assert (await post(client, view(video, expires=far))).status == 201
    assert roof.views.calls[0][2] == house.clock.now_ms() + 600_000
    roof.views.counted = False
    answer = await post(client, view(video))
    assert answer.status == 200
    assert "Location" not in answer.headers


async def test_an_application_can_sign_instead(house: House, roof: Roof, client: Client) -> None:
    body = view(await house.video())
    signer = Signer("app", CLIENT_KEYS.private_key)
    url = f"{US}/accounts/peertube/outbox"
    signed = signer.sign_headers("POST", url, body, house.clock.now_ms())
    assert (await post(client, body, signed)).status == 201
    assert (await post(client, body + b" ", signed)).status == 401
    other = Signer("nobody", CLIENT_KEYS.private_key).sign_headers("POST", url, body, house.clock.now_ms())
    assert (await post(client, body, other)).status == 401
    house.clock.advance(3_600_000)
    assert (await post(client, body, signed)).status == 401


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"Authorization": "Bearer wrong-one"}, 401), (STATS, 403)])
async def test_who_may_not_post(house: House, client: Client, headers: dict[str, str], status: int) -> None:
    assert (await post(client, view(await house.video()), headers)).status == status


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "bad_json"),
        (b"[]", "unsupported_type"),
        (b'"View"', "unsupported_type"),
        (b'{"type":"Create","object":{"type":"View"}}', "unsupported_type"),
        (b'{"type":["View"]}', "unsupported_type"),
        (b'{"type":"View"}', "bad_object"),
        (b'{"type":"View","object":7}', "bad_object"),
        (b'{"type":"View","object":{"id":""}}', "bad_object"),
        (b'{"type":"View","object":"x"}', "bad_viewer"),
        (b'{"type":"View","object":"x","viewer":""}', "bad_viewer"),
        (b'{"type":"View","object":"x","viewer":7}', "bad_viewer"),
        (b'{"type":"View","object":"x","viewer":"' + b"v" * 201 + b'"}', "bad_viewer"),
        (b'{"type":"View","object":"x","viewer":"v","expires":7}', "bad_expires"),
        (b'{"type":"View","object":"x","viewer":"v","expires":"tomorrow"}', "bad_expires"),
        (b'{"type":"View","object":"x","viewer":"v","expires":"2027-01-01T00:00:00"}', "bad_expires"),
        (b'{"type":"View","type":"View"}', "duplicate_key"),
        (b"[" * 100_000, "too_deep"),
    ],
)
def test_what_is_no_view(body: bytes, reason: str) -> None:
    outcome = read_view(body)
    assert isinstance(outcome, Refused)
    assert (outcome.reason, outcome.status) == (reason, 400)


async def test_refusals_of_the_outbox(house: House, roof: Roof, client: Client) -> None:
    video = await house.video()
    past = iso_ms(house.clock.now_ms())
    assert (await post(client, view(video, expires=past))).status == 400
    assert (await post(client, view(video, object="https://x.example/1"))).status == 404
    assert (await post(client, b"x" * 30_000)).status == 413
    assert (await post(client, view(video), {**HOST, "Content-Type": "text/plain"})).status == 415
    answer = await client.post("/accounts/owner/outbox", data=view(video), headers=HOST)
    assert answer.status == 404
    future = iso_ms(house.clock.now_ms() + 1000)
    roof.views.down = True
    answer = await post(client, view(video, expires=future))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


# Following over REST


async def test_following_over_rest(house: House, client: Client, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    answer = await client.post("/api/v1/server/following", json={"hosts": [peer.host]}, headers=ADMIN)
    assert answer.status == 204
    listed = await (await client.get("/api/v1/server/following", headers=ADMIN)).json()
    assert listed["total"] == 1
    [follow] = listed["data"]
    assert follow["state"] == "pending"
    assert follow["following"] == {"url": peer.actor, "name": "peertube", "host": peer.host}
    assert follow["follower"]["host"] == "us.example:8080"
    path = "/api/v1/server/following"
    assert (await (await client.get(f"{path}?state=accepted", headers=ADMIN)).json())["total"] == 0
    assert (await client.delete(f"{path}/{peer.host}", headers=ADMIN)).status == 204
    assert (await client.delete(f"{path}/{peer.host}", headers=ADMIN)).status == 404
    assert house.peers.following() == ()


async def test_followers_over_rest(house: House, client: Client, make_peer: MakePeer) -> None:
    peer = await make_peer(software=PEERTUBE)
    await house.befriend(peer)
    listed = await (await client.get("/api/v1/server/followers", headers=ADMIN)).json()
    assert listed["data"][0]["follower"]["host"] == peer.host
    assert listed["data"][0]["state"] == FollowState.ACCEPTED.value
    path = f"/api/v1/server/followers/peertube@{peer.host}"
    assert (await client.delete(path, headers=ADMIN)).status == 204
    assert (await client.delete(path, headers=ADMIN)).status == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b'{"hosts":[]}', 400),
        (b'{"hosts":"x"}', 400),
        (b'{"hosts":[7]}', 400),
        (b'{"hosts":["a b"]}', 400),
        (b'{"hosts":["127.0.0.1:9"]}', 502),
    ],
)
async def test_bad_follow_requests(client: Client, body: bytes, status: int) -> None:
    assert (await client.post("/api/v1/server/following", data=body, headers=ADMIN)).status == status


@pytest.mark.parametrize("query", ["start=-1", "count=x", "count=1000", "state=maybe", "start=1e3"])
async def test_bad_follow_pages(client: Client, query: str) -> None:
    assert (await client.get(f"/api/v1/server/following?{query}", headers=ADMIN)).status == 400


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (HOST, 403), (STATS, 403)])
async def test_following_is_for_administrators(client: Client, headers: dict[str, str], status: int) -> None:
    for method, path in (
        ("GET", "/api/v1/server/following"),
        ("POST", "/api/v1/server/following"),
        ("DELETE", "/api/v1/server/following/x.example"),
        ("GET", "/api/v1/server/followers"),
        ("DELETE", "/api/v1/server/followers/x.example"),
    ):
        assert (await client.request(method, path, headers=headers)).status == status


async def test_a_database_that_is_gone_is_no_error_of_ours(
    house: House, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*arguments: object) -> None:
        raise StorageUnavailable("gone")

    for name in ("by_uuid", "list_videos"):
        monkeypatch.setattr(house.catalog, name, gone)
    for path in (f"/videos/watch/{UUIDS[20]}", "/accounts/peertube/outbox"):
        answer = await client.get(path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
