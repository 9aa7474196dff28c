"""Sitemaps and feeds of strangers: what they publish, and what they cannot do."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from foundation.clock import ManualClock
from foundation.http import HttpClient
from foundation.metrics import Metrics
from tests.views.pages.page_house import BLOG, PageHouse
from views.pages.feeds import MAX_BYTES, BadFeedError, read_feed, type_of_sitemap
from views.pages.fetching import CatalogFetcher
from views.pages.queries import PageViews

URL = "https://blog.example/sitemap.xml"
SITEMAP = b"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://x/image">
 <url><loc> https://blog.example/ </loc><lastmod>2026-01-01</lastmod></url>
 <url><loc>https://www.blog.example/about?x</loc><image:image><image:loc>https://blog.example/a.png</image:loc></image:image></url>
 <url><loc>https://evil.example/about</loc></url>
 <url><loc>javascript:alert(1)</loc></url>
 <url><loc/></url>
</urlset>"""
INDEX = b"""<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
 <sitemap><loc>/post-sitemap.xml</loc></sitemap><sitemap><loc>https://blog.example/page-sitemap.xml</loc></sitemap>
 <sitemap><loc>https://evil.example/sitemap.xml</loc></sitemap></sitemapindex>"""
RSS = b"""<rss version="2.0"><channel><title>Blog</title><link>https://blog.example/</link>
 <item><title>First &lt;b&gt;post&lt;/b&gt;</title><link>https://blog.example/first</link></item>
 <item><title><![CDATA[Second]]></title><link>https://blog.example/second</link></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title><link href="https://blog.example/"/>
 <entry><title>Größe</title><link rel="edit" href="/edit"/><link href="/gr%C3%B6%C3%9Fe"/></entry></feed>""".encode()


def pages(body: bytes, url: str = URL) -> list[tuple[str, str | None, str]]:
    return [(page.path.text, page.title, page.page_type) for page in read_feed(body, url, BLOG).pages]


def test_a_sitemap() -> None:
    assert pages(SITEMAP) == pages(gzip.compress(SITEMAP)) == [("/", None, "home"), ("/about", None, "page")]
    assert pages(SITEMAP, "https://blog.example/wp-sitemap-posts-post-1.xml")[1] == ("/about", None, "post")


def test_an_index_names_others() -> None:
    feed = read_feed(INDEX, URL, BLOG)
    assert feed.pages == []
    assert feed.children == [
        "https://blog.example/post-sitemap.xml",
        "https://blog.example/page-sitemap.xml",
        "https://evil.example/sitemap.xml",
    ]


def test_feeds() -> None:
    assert pages(RSS) == [("/first", "First <b>post</b>", "post"), ("/second", "Second", "post")]
    assert pages(ATOM) == [("/größe", "Größe", "post")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("post-sitemap.xml", "post"),
        ("wp-sitemap-posts-post-1.xml", "post"),
        ("wp-sitemap-posts-page-1.xml", "page"),
        ("page-sitemap.xml", "page"),
        ("sitemap.xml", "page"),
    ],
)
def test_types_by_name(name: str, kind: str) -> None:
    assert type_of_sitemap(f"https://blog.example/{name}") == kind


LAUGHS = b"""<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<urlset><url><loc>&b;</loc></url></urlset>"""


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS,
        b'<!DOCTYPE urlset SYSTEM "file:///etc/passwd"><urlset/>',
        b"<urlset><url></urlset>",
        b"<html><body>Not found</body></html>",
        b"",
        b"\x00\x01",
        b"<urlset>" + b"<a>" * 100_000,
        b'<?xml version="1.0" encoding="utf-7"?><urlset/>',
        b"\x1f\x8bnonsense",
        gzip.compress(b"<urlset>" + b" " * (MAX_BYTES + 10) + b"</urlset>"),
    ],
)
def test_what_cannot_be_used_says_so(body: bytes) -> None:
    with pytest.raises(BadFeedError):
        read_feed(body, URL, BLOG)


@pytest.fixture
async def web_site() -> AsyncIterator[tuple[TestServer, dict[str, bytes], list[str]]]:
    documents: dict[str, bytes] = {}
    asked: list[str] = []

    async def document(request: web.Request) -> web.Response:
        asked.append(request.path)
        body = documents.get(request.path)
        return web.Response(status=404) if body is None else web.Response(body=body, content_type="application/xml")

    app = web.Application()
    app.router.add_get("/{rest:.*}", document)
    server = TestServer(app)
    await server.start_server()
    yield server, documents, asked
    await server.close()


async def test_catalogs_are_fetched_when_due_and_what_fails_changes_nothing(
    house: PageHouse, web_site: tuple[TestServer, dict[str, bytes], list[str]], clock: ManualClock, metrics: Metrics
) -> None:
    server, documents, asked = web_site
    async with HttpClient(clock, Metrics(), allow_private_addresses=True, allow_http=True, user_agent="test") as http:
        url = str(server.make_url("/sitemap.xml"))
        fetcher = CatalogFetcher(
            house.pages.sites,
            house.pages.catalog,
            http,
            clock,
            metrics,
            urls={BLOG: url},
            period_ms=3_600_000,
        )
        await house.view("a", "/first", title="As the page says")
        documents["/sitemap.xml"] = INDEX.replace(b"https://blog.example", b"")
        documents["/post-sitemap.xml"] = SITEMAP.replace(b"/about?x", b"/first")
        documents["/page-sitemap.xml"] = SITEMAP
        await fetcher.fetch_due()
        assert asked == ["/sitemap.xml", "/post-sitemap.xml", "/page-sitemap.xml"]
        assert await house.pages.queries.published(house.site()) == (1, 2)
        assert await house.pages.queries.top_pages(house.site(), None, 1) == [
            PageViews("/first", "As the page says", "post", 1)
        ]
        await fetcher.fetch_due()
        assert len(asked) == 3
        clock.advance(3_600_000)
        documents["/sitemap.xml"] = LAUGHS
        await fetcher.fetch_due()
        del documents["/sitemap.xml"]
        await fetcher.fetch_due()
        assert len(asked) == 4
        clock.advance(600_000)
        await fetcher.fetch_due()
        assert len(asked) == 5
        assert await house.pages.queries.published(house.site()) == (1, 2)
        documents["/sitemap.xml"] = RSS
        clock.advance(600_000)
        await fetcher.fetch_due()
        assert await house.pages.queries.published(house.site()) == (2, 0)
    counts = {
        outcome: metrics.registry.get_sample_value("fediviews_page_catalogs_total", {"outcome": outcome})
        for outcome in ("fetched", "failed")
    }
    assert counts == {"fetched": 2, "failed": 2}


async def test_private_addresses_are_not_asked(house: PageHouse, clock: ManualClock, metrics: Metrics) -> None:
    async with HttpClient(clock, Metrics(), allow_private_addresses=False, allow_http=True, user_agent="test") as http:
        fetcher = CatalogFetcher(
            house.pages.sites,
            house.pages.catalog,
            http,
            clock,
            metrics,
            urls={BLOG: "http://127.0.0.1:9/sitemap.xml"},
            period_ms=1_000,
        )
        await fetcher.fetch_due()
    assert metrics.registry.get_sample_value("fediviews_page_catalogs_total", {"outcome": "failed"}) == 1
