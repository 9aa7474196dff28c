"""Rows 107 to 110, for reports about pages: what strangers say of a path, a title, a session."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from hostile.scene import Build, Scene

from service.config import Site

BLOG = "blog.example"
SITES = (Site(host=BLOG),)
REPORTS = ("/api/v1/pages/views", "/api/v1/pages/heartbeat")


async def stats(scene: Scene) -> dict[str, Any]:
    answer = await scene.rest("GET", f"/api/v1/pages/stats?site={BLOG}")
    assert answer.status == 200
    body = json.loads(answer.body)
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E"),
        ('/"><img src=x onerror=alert(1)>', "/%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E"),
        ("/" + "a" * 10_000, "/" + "a" * 1_023),
        ("../../etc/passwd", "/etc/passwd"),
        ("/a/%2e%2e/%2E%2E/b", "/b"),
        ("/%zz%", "/%25zz%25"),
        ("/%00%ff", "/%00%FF"),
        ("/\u202etxt.exe", "/%E2%80%AEtxt.exe"),
        ("/a\r\nX-Header: b", "/a%0D%0AX-Header:%20b"),
        ("' OR 1=1 --", "/'%20OR%201=1%20--"),
        ("javascript:alert(1)", "/javascript:alert(1)"),
    ],
)
async def test_row_108_a_path_is_normalised_and_cut(build: Build, said: str, kept: str) -> None:
    scene = await build(sites=SITES)
    for path in REPORTS:
        answer = await scene.rest("POST", path, json.dumps({"site": BLOG, "path": said}).encode())
        assert answer.status == 204
    found = await stats(scene)
    assert [page["path"] for page in found["pageStats"]] == [kept]
    assert [page["path"] for page in found["activeByPath"]] == [kept]
    assert await scene.is_well()


BAD: dict[str, Any] = {
    "108-no-path": {"site": BLOG},
    "108-an-empty-path": {"site": BLOG, "path": " "},
    "108-a-path-that-is-a-number": {"site": BLOG, "path": 7},
    "108-half-a-character": b'{"site": "blog.example", "path": "/\\ud800"}',
    "108-no-site": {"path": "/"},
    "108-a-site-of-300-characters": {"site": "a" * 300, "path": "/"},
    "108-a-title-that-is-a-list": {"site": BLOG, "path": "/", "title": ["x"]},
    "108-a-type-with-tags": {"site": BLOG, "path": "/", "pageType": "<b>"},
    "108-a-referrer-that-is-an-object": {"site": BLOG, "path": "/", "referrer": {}},
    "108-leave-that-is-a-text": {"site": BLOG, "path": "/", "leave": "yes"},
    "108-no-json": b"site=blog.example",
    "108-an-array": b"[]",
    "108-nested": b"[" * 30_000,
    "108-not-utf-8": b'{"site": "blog.example", "path": "/\xff"}',
    "109-session-empty": {"site": BLOG, "path": "/", "sessionId": ""},
    "109-session-of-201-characters": {"site": BLOG, "path": "/", "sessionId": "a" * 201},
    "109-session-like-sql": {"site": BLOG, "path": "/", "sessionId": "' OR 1=1 --"},
    "109-session-a-number": {"site": BLOG, "path": "/", "sessionId": 7},
}


@pytest.mark.parametrize("row", BAD)
async def test_row(row: str, build: Build) -> None:
    scene = await build(sites=SITES)
    raw = BAD[row] if isinstance(BAD[row], bytes) else json.dumps(BAD[row]).encode()
    for path in REPORTS:
        answer = await scene.rest("POST", path, raw)
        assert answer.status == 400
        assert b"<b>" not in answer.body
    found = await stats(scene)
    assert (found["totalPageViews"], found["activeVisitors"]) == (0, 0)
    assert await scene.is_well()


@pytest.mark.parametrize("size", [33_000, 1_000_000])
async def test_row_109_a_session_of_a_megabyte(build: Build, size: int) -> None:
    scene = await build(sites=SITES)
    raw = json.dumps({"site": BLOG, "path": "/", "sessionId": "a" * size}).encode()
    for path in REPORTS:
        assert (await scene.rest("POST", path, raw)).status == 413
    assert await scene.is_well()


async def test_row_108_titles_are_text_on_one_line(build: Build) -> None:
    scene = await build(sites=SITES)
    title = "<b>A</b>\r\n\0 title\u202e " + "x" * 5_000
    raw = json.dumps({"site": BLOG, "path": "/", "title": title, "referrer": "javascript:alert(1)"}).encode()
    assert (await scene.rest("POST", REPORTS[0], raw)).status == 204
    (page,) = (await stats(scene))["pageStats"]
    assert page["title"] == "<b>A</b> title " + "x" * 185


async def test_row_107_a_place_is_not_a_visitors_to_say(build: Build) -> None:
    scene = await build(listen={"trusted_proxies": ()}, sites=SITES)
    for number in range(5):
        body = {"site": BLOG, "path": "/", "sessionId": f"s{number}", "country": "FR", "latitude": 1, "longitude": 1}
        headers = {"X-Country": "FR", "CF-IPCountry": "FR", "X-Forwarded-For": "198.51.100.1"}
        assert (await scene.rest("POST", REPORTS[1], json.dumps(body).encode(), headers=headers)).status == 204
    found = await stats(scene)
    assert (found["activeVisitors"], found["visitorLocations"]) == (5, [])


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/<script>alert(1)</script>", "<script>alert(1)</script>"),
        ('/"><img src=x onerror=alert(1)>', '"><img src=x onerror=alert(1)>'),
        ("/{{ 7 * 7 }}", "{{ 7 * 7 }}{% raw %}"),
        ("javascript:alert(1)", "javascript:alert(1)"),
    ],
)
async def test_row_110_text_of_others_is_text_on_the_page_of_statistics(build: Build, path: str, title: str) -> None:
    scene = await build(sites=SITES)
    for report in REPORTS:
        body = {"site": BLOG, "path": path, **({"title": title} if report == REPORTS[0] else {})}
        assert (await scene.rest("POST", report, json.dumps(body).encode())).status == 204
    answer = await scene.rest("GET", "/stats", headers={"Accept": "text/html"})
    assert answer.status == 200
    page = answer.body.decode()
    assert html.escape(title, quote=False) in page.replace("&#34;", '"')
    for bad in ("<script>alert", "<img", ">49<", "/49", 'href="javascript:'):
        assert bad not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert await scene.is_well()
