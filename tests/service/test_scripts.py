"""The scripts that other pages load: small, cached, and readable from any origin."""

from __future__ import annotations

import base64
import gzip
import hashlib

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from service.web.scripts import Scripts, smaller


@pytest.fixture
async def client(aiohttp_client) -> TestClient:
    app = web.Application()
    Scripts("1.2.3").setup(app)
    return await aiohttp_client(app, auto_decompress=False)


async def test_the_beacon_is_at_most_one_and_a_half_kilobytes(client: TestClient) -> None:
    answer = await client.get("/b.js", headers={"Accept-Encoding": "gzip"})
    zipped = await answer.read()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(zipped) <= 1_500
    plain = await (await client.get("/b.js", headers={"Accept-Encoding": "identity"})).read()
    assert gzip.decompress(zipped) == plain


@pytest.mark.parametrize("name", ["b.js", "v.js"])
async def test_headers_let_any_page_load_and_keep_it(client: TestClient, name: str) -> None:
    answer = await client.get(f"/{name}")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert "max-age=" in answer.headers["Cache-Control"]
    again = await client.get(f"/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    assert again.headers["ETag"] == answer.headers["ETag"]
    other = await client.get(f"/{name}", headers={"If-None-Match": '"another"'})
    assert other.status == 200


@pytest.mark.parametrize("name", ["b.js", "v.js"])
async def test_info_says_what_integrity_is(client: TestClient, name: str) -> None:
    body = await (await client.get(f"/{name}", headers={"Accept-Encoding": "identity"})).read()
    info = await (await client.get(f"/{name}?info")).json()
    digest = base64.b64encode(hashlib.sha384(body).digest()).decode()
    assert info == {
        "version": "1.2.3",
        "bytes": len(body),
        "gzipBytes": info["gzipBytes"],
        "integrity": f"sha384-{digest}",
    }


def test_what_is_left_out_is_comments_and_blanks() -> None:
    assert smaller("// a\n\n  x = 1; // kept\n  // b\n\ty()\n") == "x = 1; // kept\ny()\n"
