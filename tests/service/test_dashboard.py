"""The dashboard as a browser without JavaScript meets it: over HTTP, with a real service behind it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from foundation.clock import ManualClock
from foundation.errors import Refused
from foundation.principal import Role
from service.app import Service
from service.config import Config, Listen, Peer, Secret, Storage, Token, Webhook
from service.dashboard.guard import ATTEMPTS, COOKIE
from service.dashboard.return_to import own_page
from service.dashboard.sessions import LIFE_MS
from views.model import VideoDraft

ADMIN, HOST_TOKEN = "an-admins-token", "an-applications-token"
UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
PAGES = (
    "/admin",
    "/admin/peers",
    "/admin/inbox",
    "/admin/deliveries",
    "/admin/videos",
    "/admin/webhooks",
    "/admin/configuration",
    "/admin/doctor",
)
AS_JSON = ("/admin/now.json", "/admin/peers.json")
FORMS = ("/admin/peers", "/admin/inbox", "/admin/deliveries", "/admin/webhooks", "/admin/doctor", "/admin/logout")


@dataclass
class Answer:
    status: int
    text: str
    headers: Any
    url: str

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.text)
        assert found is not None
        return unescape(found[1])

    @property
    def words(self) -> str:
        """What can be read."""
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.text)).split())


class Browser:
    """Keeps cookies, follows redirects, and sends forms as browsers do."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.csrf = ""

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.http.get(self.service.url + path, headers=headers) as answer:
            return Answer(answer.status, await answer.text(), answer.headers, str(answer.url.relative()))

    async def send(self, path: str, *, origin: str | None = "", csrf: str | None = "", **fields: str) -> Answer:
        """``origin`` and ``csrf`` are ours unless said otherwise; None leaves them out."""
        headers = {} if origin is None else {"Origin": origin or self.service.url}
        data = fields if csrf is None else {"csrf": csrf or self.csrf, **fields}
        async with self.http.post(self.service.url + path, data=data, headers=headers) as answer:
            return Answer(answer.status, await answer.text(), answer.headers, str(answer.url.relative()))

    async def log_in(self, token: str = ADMIN) -> Answer:
        self.csrf = (await self.get("/admin/login")).csrf
        answer = await self.send("/admin/login", token=token)
        self.csrf = answer.csrf
        return answer


Open = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def visit(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Open]:
    opened: list[Browser] = []

    async def make(**sections: Any) -> Browser:
        tokens = (
            Token(name="chief", role=Role.ADMIN, value=Secret(ADMIN)),
            Token(name="application", role=Role.HOST, value=Secret(HOST_TOKEN)),
        )
        config = Config(
            **{
                "listen": Listen(port=0),
                "storage": Storage(directory=tmp_path / "data"),
                "tokens": tokens,
                **sections,
            }
        )
        service = await Service.create(config, clock=clock)
        await service.start()
        opened.append(Browser(service))
        return opened[-1]

    yield make
    for browser in opened:
        await browser.http.close()
        await browser.service.stop()


async def test_without_a_session_every_page_and_form_leads_to_the_login(visit: Open) -> None:
    browser = await visit()
    for path in PAGES + AS_JSON:
        answer = await browser.get(path)
        assert (answer.status, answer.url.partition("?")[0]) == (200, "/admin/login"), path
        assert "Log out" not in answer.text
    for path in FORMS:
        answer = await browser.send(path, csrf=None, host="evil.example", verdict="block")
        assert answer.url.partition("?")[0] == "/admin/login", path
    assert not browser.service.federation.peers.list_peers()


async def test_an_administrator_logs_in_and_out(visit: Open) -> None:
    browser = await visit()
    answer = await browser.log_in()
    assert (answer.status, answer.url) == (200, "/admin")
    assert "Log out chief" in answer.words
    for path in PAGES:
        answer = await browser.get(path)
        assert (answer.status, answer.url) == (200, path), path
        assert 'aria-current="page"' in answer.text
    assert (await browser.get("/admin/login")).url == "/admin"
    answer = await browser.send("/admin/logout")
    assert answer.url == "/admin/login"
    assert (await browser.get("/admin/peers")).url == "/admin/login?to=/admin/peers"


@pytest.mark.parametrize("token", ["", "wrong", HOST_TOKEN, ADMIN + "x", "\x00", "ü" * 300])
async def test_nobody_else_logs_in(visit: Open, token: str) -> None:
    browser = await visit()
    answer = await browser.log_in(token)
    assert (answer.status, answer.url) == (403, "/admin/login")
    assert "not the token of an administrator" in answer.words
    assert (await browser.get("/admin")).url == "/admin/login"


async def test_the_cookie_is_for_the_dashboard_alone_and_holds_no_token(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    async with browser.http.get(browser.service.url + "/admin/login", allow_redirects=False) as answer:
        assert answer.status == 303
    csrf = (await browser.get("/admin")).csrf
    assert csrf
    jar = [cookie for cookie in browser.http.cookie_jar if cookie.key == COOKIE]
    assert len(jar) == 1
    assert ADMIN not in jar[0].value
    assert (jar[0]["path"], jar[0]["samesite"], bool(jar[0]["httponly"])) == ("/admin", "Strict", True)


async def test_a_cookie_opens_nothing_in_rest(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    (cookie,) = (each for each in browser.http.cookie_jar if each.key == COOKIE)
    answer = await browser.get("/api/v1/server/peers", Cookie=f"{COOKIE}={cookie.value}")
    assert answer.status == 401


async def test_a_session_ends_by_time_and_with_its_token(visit: Open, clock: ManualClock) -> None:
    browser = await visit()
    await browser.log_in()
    clock.advance(LIFE_MS - 1)
    assert (await browser.get("/admin/videos")).url == "/admin/videos"
    clock.advance(1)
    assert (await browser.get("/admin/videos")).url == "/admin/login?to=/admin/videos"
    await browser.log_in()
    other = Token(name="chief", role=Role.ADMIN, value=Secret("another-admins-token"))
    browser.service.tokens.replace(browser.service.house.grants(Config(tokens=(other,))))
    assert (await browser.get("/admin/videos")).url == "/admin/login?to=/admin/videos"


async def test_another_process_with_the_same_secret_takes_the_session(visit: Open) -> None:
    first = await visit()
    await first.log_in()
    (cookie,) = (each for each in first.http.cookie_jar if each.key == COOKIE)
    await first.service.stop()
    second = await visit()
    answer = await second.get("/admin/peers", Cookie=f"{COOKIE}={cookie.value}")
    assert answer.url == "/admin/peers"
    for broken in (cookie.value[:-2], cookie.value + "=", "fva1.", "fva1.a.b", "ü", cookie.value.replace(".", "..")):
        answer = await second.get("/admin/peers", Cookie=f"{COOKIE}={broken}")
        assert answer.url.partition("?")[0] == "/admin/login", broken


async def test_forms_of_others_do_nothing(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    peers = browser.service.federation.peers
    fields = {"host": "peer.example", "verdict": "block"}
    for said in (
        await browser.send("/admin/peers", csrf=None, **fields),
        await browser.send("/admin/peers", csrf="wrong", **fields),
        await browser.send("/admin/peers", origin="https://evil.example", **fields),
        await browser.send("/admin/peers", origin="null", **fields),
    ):
        assert said.status == 403
        assert "That was not done" in said.words
    assert not peers.describe("peer.example").blocked
    assert (await browser.send("/admin/login", csrf="wrong", token=ADMIN)).status == 403
    assert (await browser.get("/admin")).url == "/admin"
    answer = await browser.send("/admin/peers", **fields)
    assert (answer.status, answer.url) == (200, "/admin/peers?done=blocked-unknown")
    assert peers.describe("peer.example").blocked
    answer = await browser.send("/admin/peers", origin=None, host="peer.example", verdict="allow")
    assert not peers.describe("peer.example").blocked


async def test_logins_are_bounded(visit: Open, clock: ManualClock) -> None:
    browser = await visit()
    for _ in range(ATTEMPTS):
        assert (await browser.log_in("wrong")).status == 403
    answer = await browser.log_in()
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) == 300
    assert (await browser.get("/admin")).url == "/admin/login"
    clock.advance(300_000)
    assert (await browser.log_in()).url == "/admin"
    page = (await browser.get("/metrics")).text
    for outcome, number in (("opened", 1), ("refused", ATTEMPTS), ("limited", 1)):
        assert f'fediviews_dashboard_logins_total{{outcome="{outcome}"}} {number}.0' in page


async def test_every_page_forbids_what_it_does_not_need(visit: Open) -> None:
    browser = await visit()
    answers = [await browser.get("/admin/login"), await browser.log_in(), await browser.send("/admin/peers", csrf="x")]
    for answer in [*answers, *[await browser.get(path) for path in PAGES]]:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:", answer.text)
    for name in ("admin.css", "admin.js"):
        assert (await browser.get(f"/static/{name}")).status == 200


async def test_the_login_before_and_after_shows_no_token(visit: Open) -> None:
    browser = await visit()
    await browser.log_in("wrong")
    answer = await browser.send("/admin/login", token="a-token-that-was-typed")
    assert "a-token-that-was-typed" not in answer.text


async def test_row_110_what_others_said_is_text(visit: Open) -> None:
    hook = Webhook(url="https://hooks.example/?key=secret-in-a-query", key="key", secret=Secret("a-hooks-secret"))
    browser = await visit(webhooks=(hook,))
    service = browser.service
    kept = await service.views.catalog.put_local(VideoDraft(UUID, HOSTILE, 60, description=HOSTILE))
    assert isinstance(kept, tuple)
    async with browser.http.post(f"{service.url}/api/v1/videos/{UUID}/views", json={"currentTime": 1}) as answer:
        assert answer.status == 204
    refusal = Refused("not_origin", HOSTILE, 202)
    service.entrance.quarantine.add(refusal, host=HOSTILE, kind=HOSTILE)
    await browser.log_in()
    seen = [await browser.get(path) for path in PAGES]
    seen += [
        await browser.get(f"/admin/videos?search={HOSTILE}&sort=name"),
        await browser.get(f"/admin/peers?search={HOSTILE}&done={HOSTILE}&n={HOSTILE}"),
        await browser.get(f"/admin/inbox?host={HOSTILE}&reason=not_origin"),
        await browser.get(f"/admin/videos?sort={HOSTILE}"),
        await browser.send("/admin/peers", host=HOSTILE, verdict="block"),
        await browser.send("/admin/peers", host=HOSTILE, verdict=HOSTILE),
        await browser.send("/admin/deliveries", host=HOSTILE, verdict="retry"),
        await browser.send("/admin/webhooks", hook=HOSTILE),
    ]
    for answer in seen:
        assert answer.status < 500, answer.url
        assert "<script>alert" not in answer.text, answer.url
        assert "<img" not in answer.text, answer.url
        assert "a-hooks-secret" not in answer.text
        assert "secret-in-a-query" not in answer.text
    assert HOSTILE in (await browser.get("/admin")).words
    assert HOSTILE in (await browser.get("/admin/inbox")).words


async def test_a_page_that_cannot_be_shown_says_so(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    answer = await browser.get("/admin/videos?sort=zzz")
    assert answer.status == 400
    assert "That cannot be shown" in answer.words
    assert "not done" not in answer.words


async def test_the_login_leads_to_where_one_wanted_to_go(visit: Open) -> None:
    browser = await visit()
    asked = await browser.get("/admin/peers?search=a%26b")
    assert asked.url == "/admin/login?to=/admin/peers?search%3Da%2526b"
    browser.csrf = asked.csrf
    wrong = await browser.send(asked.url, token="wrong")
    assert wrong.status == 403
    browser.csrf = wrong.csrf
    assert (await browser.send(wrong.url, token=ADMIN)).url == "/admin/peers?search=a%26b"
    assert (await browser.get("/admin/login?to=/admin/inbox")).url == "/admin/inbox"


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/admin", "//evil.example", "/\\evil.example", "/admin//evil.example", "/admin/../healthz",
        "/admin/%2e%2e/healthz", "/administrator", "/admin@evil.example", "javascript:alert(1)", "/admin/login",
        "/admin/logout", "/admin\r\nSet-Cookie: a=b", "/admin/peers?" + "x" * 600, "", "admin", "/admin/peers#a",
        "/admin/peers\u2028", "/admin/now.json",
    ],
)  # fmt: skip
def test_nobody_is_led_away_after_the_login(to: str) -> None:
    assert own_page(to) == "/admin"


async def test_a_slash_too_many_leads_to_the_page(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    kept = await browser.service.views.catalog.put_local(VideoDraft(UUID, "A board meeting", 60))
    assert isinstance(kept, tuple)
    for path, page in (
        ("/admin/", "/admin"),
        ("/admin/peers/?search=a%26b", "/admin/peers?search=a%26b"),
        ("/stats/", "/stats"),
        (f"/w/{UUID}/", f"/w/{UUID}"),
    ):
        async with browser.http.get(browser.service.url + path, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (308, page)
        assert (await browser.get(path)).status == 200
    for path in ("//evil.example/", "/admin//evil.example/", "/stats//", "/nothing/", "/%2F%2Fevil.example/", "/w//"):
        async with browser.http.get(browser.service.url + path, allow_redirects=False) as answer:
            assert (answer.status, answer.headers.get("Location")) == (404, None), path


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=99999999999", "page=x", "search=%00", "search=%ff%fe"])
async def test_no_query_breaks_a_page(visit: Open, query: str) -> None:
    browser = await visit()
    await browser.log_in()
    for path in PAGES:
        assert (await browser.get(f"{path}?{query}")).status == 200


async def test_no_body_breaks_a_form(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    for body, status in ((b"", 403), (b"\xff\xfe", 400), (b"a=b&" * 100, 400), (b"x" * 20_000, 413), (b"{}", 403)):
        headers = {"Origin": browser.service.url}
        for path in FORMS:
            async with browser.http.post(browser.service.url + path, data=body, headers=headers) as answer:
                assert answer.status == status, (path, body[:10])


async def test_the_pages_say_what_rest_says(visit: Open) -> None:
    browser = await visit()
    service = browser.service
    await service.views.catalog.put_local(VideoDraft(UUID, "A board meeting", 60, is_live=True))
    await service.views.catalog.put_local(VideoDraft(UUID.replace("9c9", "1c1"), "100 % private_thing", 60))
    for viewer in ("anna", "bob"):
        report = {"currentTime": 1, "sessionId": viewer}
        async with browser.http.post(f"{service.url}/api/v1/videos/{UUID}/views", json=report) as answer:
            assert answer.status == 204
    service.entrance.quarantine.add(Refused("not_origin", "not yours", 202), host="peer.example")
    auth = {"Authorization": f"Bearer {ADMIN}"}
    async with browser.http.get(f"{service.url}/api/v1/server/now", headers=auth) as answer:
        now = await answer.json()
    assert now["viewers"] == {
        "localOnLocal": 2,
        "remoteOnLocal": 0,
        "localOnRemote": 0,
        "remoteOnRemote": 0,
        "unverified": 0,
    }
    assert [(one["name"], one["viewers"], one["local"]) for one in now["top"]] == [("A board meeting", 2, 2)]
    async with browser.http.get(f"{service.url}/api/v1/server/inbox", headers=auth) as answer:
        verdicts = await answer.json()
    assert (verdicts["accepted"], verdicts["refused"]) == (0, {"not_origin": 1})
    for name in ("now", "inbox", "configuration"):
        assert (await browser.get(f"/api/v1/server/{name}")).status == 401

    page = await browser.log_in()
    assert "Watching now, here 2" in page.words
    assert "A board meeting" in page.words
    assert "0 taken, 1 not" in page.words
    for path in sorted(set(re.findall(r'href="(/admin/[a-z]+\.json)"', page.text))):
        async with browser.http.get(f"{service.url}{path}") as answer:
            assert answer.content_type == "application/json"
            assert answer.headers["Cache-Control"] == "no-store"
            shown = await answer.json()
        rest = f"{service.url}/api/v1/server{path.removeprefix('/admin').removesuffix('.json')}"
        async with browser.http.get(rest, headers=auth) as answer:
            assert await answer.json() == shown
    inbox = await browser.get("/admin/inbox?host=peer.example")
    assert "not yours" in inbox.words
    assert "A board meeting" in (await browser.get("/admin/videos?search=BOARD")).words
    assert "1 videos" in (await browser.get("/admin/videos?search=0+%25+private_")).words
    assert "0 videos" in (await browser.get("/admin/videos?search=0_%25")).words


async def test_refusals_are_forgotten_by_the_form(visit: Open) -> None:
    browser = await visit()
    quarantine = browser.service.entrance.quarantine
    for host in ("a.example", "b.example"):
        quarantine.add(Refused("not_origin", "", 202), host=host)
    await browser.log_in()
    answer = await browser.send("/admin/inbox", verdict="drop", host="a.example", reason="")
    assert "Refusals that were forgotten: 1" in answer.words
    assert [entry.host for entry in quarantine.newest(10)] == ["b.example"]
    answer = await browser.send("/admin/inbox", verdict="replay", host="", reason="")
    assert "Messages that count now: 0" in answer.words


async def test_a_verdict_that_the_configuration_forbids_is_said(visit: Open) -> None:
    browser = await visit(peers=(Peer(host="peer.example", block=True),))
    await browser.log_in()
    answer = await browser.send("/admin/peers", host="peer.example", verdict="allow")
    assert (answer.status, "That was not done" in answer.words) == (409, True)


async def test_the_doctor_runs_from_the_page(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    assert "secret files" not in (await browser.get("/admin/doctor")).words
    answer = await browser.send("/admin/doctor")
    assert answer.status == 200
    assert "secret files" in answer.words


async def test_the_configuration_is_shown_without_secrets(visit: Open) -> None:
    hook = Webhook(url="https://user:pass@hooks.example/in?key=word", key="key", secret=Secret("a-hooks-secret"))
    browser = await visit(webhooks=(hook,))
    await browser.log_in()
    page = await browser.get("/admin/configuration")
    assert "webhooks[0].url https://hooks.example/in" in page.words
    assert "webhooks[0].secret (set, not shown)" in page.words
    assert "tokens[0].value (set, not shown)" in page.words
    assert "views.viewer_lifetime 2m" in page.words
    for secret in ("a-hooks-secret", "user:pass", "key=word", ADMIN, HOST_TOKEN):
        assert secret not in page.text


async def test_what_the_other_forms_answer(visit: Open) -> None:
    hook = Webhook(url="https://127.0.0.1:1/in", key="key", secret=Secret("a-secret-of-32-characters-or-more"))
    browser = await visit(webhooks=(hook,), peers=(Peer(host="peer.example"),))
    await browser.log_in()
    for verdict, said in (("retry", "Activities that are tried again now: 0"), ("drop", "were given up: 0")):
        assert said in (await browser.send("/admin/deliveries", host="peer.example", id="", verdict=verdict)).words
    assert (await browser.send("/admin/deliveries", host="peer.example", verdict="x")).status == 400
    assert (await browser.send("/admin/peers", host="peer.example", verdict="unfollow")).status == 404
    assert (await browser.send("/admin/peers", host="127.0.0.1:1", verdict="follow")).status >= 400
    (shown,) = browser.service.webhooks.hooks
    answer = await browser.send("/admin/webhooks", hook=shown.id)
    assert "Test to https://127.0.0.1:1/in: not delivered" in answer.words
    assert (await browser.send("/admin/webhooks", hook="none-of-ours")).status == 404


async def test_who_decided_what_is_in_the_log(visit: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "fediviews.decisions")
    browser = await visit()
    await browser.log_in()
    said = await browser.send("/admin/peers", host="a.example", verdict="block")
    assert "is its name spelt right?" in said.words
    await browser.send("/admin/inbox", host="a.example", verdict="drop")
    await browser.send("/admin/deliveries", host="a.example", verdict="retry")
    headers = {"Authorization": f"Bearer {ADMIN}"}
    for method, path in (
        ("POST", "/api/v1/server/peers/a.example/unblock"),
        ("POST", "/api/v1/server/quarantine/replay?reason=expired"),
        ("POST", "/api/v1/server/peers/b.example/undelivered/drop"),
        ("DELETE", "/api/v1/server/following/b.example"),
    ):
        await browser.http.request(method, browser.service.url + path, headers=headers)
    assert [record.getMessage() for record in caplog.records if record.name == "fediviews.decisions"] == [
        "block a.example: by token chief over the dashboard",
        "forget the quarantine of a.example (0 forgotten): by token chief over the dashboard",
        "retry a.example (0 activities): by token chief over the dashboard",
        "unblock a.example: by token chief over REST",
        "replay the quarantine of every host for expired (0 applied): by token chief over REST",
    ]
    assert ADMIN not in caplog.text


async def test_what_was_typed_and_refused_is_still_there(visit: Open) -> None:
    browser = await visit()
    await browser.log_in()
    said = await browser.send("/admin/peers", host='https://"a.example/', verdict="block")
    assert said.status == 400
    assert "That was not done: expected a host or host:port, not a URL" in said.words
    assert 'value="https://&#34;a.example/"' in said.text
    assert "bad_host" not in said.text
