from __future__ import annotations

import asyncio
import gzip
import ipaddress
from collections.abc import AsyncIterator, Sequence

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from foundation.errors import Refused
from foundation.web import Network, bearer_token, client_address, is_local, prefers_html, read_body

TRUSTED: Sequence[Network] = (
    ipaddress.ip_network("127.0.0.1/32"),
    ipaddress.ip_network("::1/128"),
    ipaddress.ip_network("10.0.0.0/8"),
)


def request_from(remote: str | None, *forwarded: str, headers: Sequence[tuple[str, str]] = ()) -> web.BaseRequest:
    lines = CIMultiDict([*(("X-Forwarded-For", line) for line in forwarded), *headers])
    return make_mocked_request("GET", "/", headers=lines).clone(remote=remote or "")


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        # the peer itself
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        ("::ffff:203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        ("2001:DB8::9", (), "2001:db8::9"),
        ("fe80::1%eth0", (), "fe80::1"),
        ("", ("198.51.100.1",), ""),
        ("unix:", ("198.51.100.1",), ""),
        # one trusted proxy
        ("127.0.0.1", (), "127.0.0.1"),
        ("127.0.0.1", ("",), "127.0.0.1"),
        ("127.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("::1", ("198.51.100.1",), "198.51.100.1"),
        ("::ffff:127.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", ("2001:db8::5",), "2001:db8::5"),
        ("127.0.0.1", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("127.0.0.1", ("[2001:db8::5]:4711",), "2001:db8::5"),
        ("127.0.0.1", ("[2001:db8::5]",), "2001:db8::5"),
        # what a client wrote itself stays on the left and is not believed
        ("127.0.0.1", ("1.1.1.1, 198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", ("127.0.0.1, 198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", ("1.1.1.1", "198.51.100.1"), "198.51.100.1"),
        # several trusted hops, several lines
        ("127.0.0.1", ("1.1.1.1, 198.51.100.1, 10.0.0.7",), "198.51.100.1"),
        ("127.0.0.1", ("1.1.1.1, 198.51.100.1", "10.0.0.7,10.0.0.8"), "198.51.100.1"),
        ("127.0.0.1", ("10.0.0.6, 10.0.0.7",), "10.0.0.6"),
        # garbage ends the walk
        ("127.0.0.1", ("198.51.100.1, unknown",), "127.0.0.1"),
        ("127.0.0.1", ("198.51.100.1, , 10.0.0.7",), "10.0.0.7"),
        ("127.0.0.1", ("198.51.100.1, x, 10.0.0.7",), "10.0.0.7"),
        ("127.0.0.1", ("fe80::1%eth0",), "127.0.0.1"),
        ("127.0.0.1", ("[2001:db8::5",), "127.0.0.1"),
        ("127.0.0.1", ("198.51.100.1:x",), "127.0.0.1"),
        ("127.0.0.1", ("2130706433",), "127.0.0.1"),
        # bounded
        ("127.0.0.1", ("1.1.1.1, " * 5_000 + "198.51.100.1",), "198.51.100.1"),
        ("127.0.0.1", (",".join(["198.51.100.1", *["10.0.0.7"] * 5_000]),), "10.0.0.7"),
        ("127.0.0.1", ("9" * 100_000,), "127.0.0.1"),
        ("127.0.0.1", ("198.51.100.1" + ",10.0.0.7" * 20,), "10.0.0.7"),
        ("127.0.0.1", ("198.51.100.1," + "10.0.0.7".rjust(1_024 - len("98.51.100.1,")),), "10.0.0.7"),
    ],
)
def test_client_address(remote: str, forwarded: tuple[str, ...], client: str) -> None:
    assert client_address(request_from(remote, *forwarded), TRUSTED) == client


def test_without_trusted_proxies_nothing_forwarded_counts() -> None:
    assert client_address(request_from("127.0.0.1", "198.51.100.1"), ()) == "127.0.0.1"


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=80))
def test_whatever_is_forwarded_the_answer_is_an_address(text: str) -> None:
    ipaddress.ip_address(client_address(request_from("127.0.0.1", text), TRUSTED))


@pytest.mark.parametrize(
    ("remote", "headers", "local"),
    [
        ("127.0.0.1", {"Host": "127.0.0.1:8080"}, True),
        ("127.0.0.1", {"Host": "localhost"}, True),
        ("127.0.0.1", {"Host": "LOCALHOST.:9000"}, True),
        ("::1", {"Host": "[::1]:8080"}, True),
        ("::ffff:127.0.0.1", {"Host": "127.0.0.1"}, True),
        ("127.0.0.1", {"Host": "tube.example"}, False),
        ("127.0.0.1", {"Host": "localhost.tube.example"}, False),
        ("127.0.0.1", {"Host": "192.0.2.1:8080"}, False),
        ("127.0.0.1", {"Host": ""}, False),
        ("127.0.0.1", {}, False),
        ("192.0.2.1", {"Host": "127.0.0.1"}, False),
        ("", {"Host": "localhost"}, False),
        *(
            ("127.0.0.1", {"Host": "localhost", name: value}, False)
            for name, value in (
                ("X-Forwarded-For", "127.0.0.1"),
                ("x-real-ip", "127.0.0.1"),
                ("Forwarded", "for=127.0.0.1"),
                ("Via", "1.1 proxy"),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Host", ""),
            )
        ),
    ],
)
def test_what_a_proxy_of_this_machine_hands_on_is_not_local(remote: str, headers: dict[str, str], local: bool) -> None:
    assert is_local(request_from(remote, headers=tuple(headers.items()))) is local


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("TEXT/HTML; q=0.5", True),
        ("application/json;q=0.4, text/html;q=0.5", True),
        ("text/html, application/json", True),
        ("application/xhtml+xml", True),
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("application/activity+json", False),
        ('application/ld+json; profile="https://www.w3.org/ns/activitystreams", text/html;q=0.1', False),
        ("application/activity+json, application/ld+json, text/html", False),
        ("application/json, text/html", False),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
        ("text/html;q=1.5", False),
        ("text/html;q=0.0001", False),
        ("text/html" + "," * 10_000, False),
        (";;q=,,;=", False),
    ],
)
def test_prefers_html(accept: str | None, html: bool) -> None:
    assert prefers_html(accept) is html


@given(st.text(max_size=60))
def test_any_accept_header_has_an_answer(text: str) -> None:
    assert prefers_html(text) in (True, False)


@pytest.mark.parametrize(
    ("values", "token"),
    [
        (("Bearer abc.DEF-1_2~3+4/5==",), "abc.DEF-1_2~3+4/5=="),
        (("bearer abc",), "abc"),
        (("BEARER  abc ",), "abc"),
        ((), None),
        (("",), None),
        (("Bearer",), None),
        (("Bearer ",), None),
        (("Bearer a b",), None),
        (("Bearer ä",), None),
        (("Bearer a,b",), None),
        (("Basic abc",), None),
        (("Bearer " + "a" * 5_000,), None),
        (("Bearer a", "Bearer a"), None),
    ],
)
def test_bearer_token(values: tuple[str, ...], token: str | None) -> None:
    request = request_from("127.0.0.1", headers=[("Authorization", value) for value in values])
    assert bearer_token(request) == token


# -------------------------------------------------------------------------------------------------------- bodies

LIMIT = 1_000


@pytest.fixture
async def server() -> AsyncIterator[TestServer]:
    """Answers with the length of the body, or with the reason it was refused."""

    async def take(request: web.Request) -> web.Response:
        body = await read_body(request, LIMIT, deadline_ms=int(request.query.get("deadline", "5000")))
        if isinstance(body, Refused):
            return web.Response(status=body.status, text=body.reason, headers={"Connection": "close"})
        return web.Response(text=str(len(body)))

    app = web.Application()
    app.router.add_post("/", take)
    started = TestServer(app)
    await started.start_server(lingering_time=0.05, shutdown_timeout=0.1)
    yield started
    await started.close()


async def exchange(server: TestServer, head: str, *parts: bytes, path: str = "/") -> tuple[int, str]:
    """Say exactly these bytes, then listen; the connection stays open for writing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(b"".join([f"POST {path} HTTP/1.1\r\nHost: h\r\n{head}\r\n".encode(), *parts]))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in answer.splitlines() if line.lower().startswith("content-length"))
        text = (await reader.readexactly(int(length.partition(":")[2]))).decode()
        return int(answer.split()[1]), text
    finally:
        writer.close()


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


CHUNKED = "Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("head", "parts", "answer"),
    [
        ("Content-Length: 0\r\n", (), (200, "0")),
        ("", (), (200, "0")),
        (f"Content-Length: {LIMIT}\r\n", (b"x" * LIMIT,), (200, str(LIMIT))),
        (f"Content-Length: {LIMIT}\r\nContent-Encoding: Identity\r\n", (b"x" * LIMIT,), (200, str(LIMIT))),
        (CHUNKED, (chunked(b"x" * LIMIT, 1), b"0\r\n\r\n"), (200, str(LIMIT))),
        # announced: refused although not one byte of the body was sent
        (f"Content-Length: {LIMIT + 1}\r\n", (), (413, "body_too_large")),
        ("Content-Length: 999999999999999999\r\n", (), (413, "body_too_large")),
        # not announced: refused although the body never ends
        (CHUNKED, (chunked(b"x" * (LIMIT + 1), 1),), (413, "body_too_large")),
        (CHUNKED, (chunked(b"x" * 50_000, 20_000),), (413, "body_too_large")),
        (CHUNKED, (chunked(b"x" * (LIMIT + 1), 100), b"0\r\n\r\n"), (413, "body_too_large")),
        # compressed: refused unread
        ("Content-Length: 500\r\nContent-Encoding: gzip\r\n", (), (415, "content_encoding")),
        (
            f"Content-Length: {len(gzip.compress(b'x' * 500))}\r\nContent-Encoding: gzip\r\n",
            (gzip.compress(b"x" * 500),),
            (415, "content_encoding"),
        ),
        ("Content-Length: 5\r\nContent-Encoding: identity, br\r\n", (b"hello",), (415, "content_encoding")),
        # every line counts, whichever comes first
        *(
            (f"Content-Length: 5\r\nContent-Encoding: {first}\r\nContent-Encoding: {then}\r\n", (b"hello",), answer)
            for first, then, answer in (
                ("identity", "gzip", (415, "content_encoding")),
                ("gzip", "identity", (415, "content_encoding")),
                ("", "gzip", (415, "content_encoding")),
                ("identity", "Identity", (200, "5")),
            )
        ),
    ],
)
async def test_bodies(server: TestServer, head: str, parts: tuple[bytes, ...], answer: tuple[int, str]) -> None:
    assert await exchange(server, head, *parts) == answer


@pytest.mark.parametrize("head", ["Content-Length: 10\r\n", CHUNKED])
async def test_a_slow_body_meets_the_deadline(server: TestServer, head: str) -> None:
    part = b"x" if head != CHUNKED else b"1\r\nx\r\n"
    assert await exchange(server, head, part, path="/?deadline=20") == (408, "slow_body")


async def test_a_body_that_comes_in_pieces(server: TestServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc")
    await writer.drain()
    await asyncio.sleep(0)
    writer.write(b"def")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(1) == b"6"
    writer.close()


@pytest.mark.parametrize(
    ("head", "start", "rest"),
    [
        ("Content-Length: 6", b"abc", b""),
        (CHUNKED.strip(), b"3\r\nabc\r\n", b""),
        (CHUNKED.strip(), b"1\r\na\r\n", b"zz\r\n"),
    ],
)
async def test_a_body_that_breaks_off_is_no_error(head: str, start: bytes, rest: bytes) -> None:
    outcome: asyncio.Future[bytes | Refused] = asyncio.get_running_loop().create_future()
    started = asyncio.Event()

    async def take(request: web.BaseRequest) -> web.Response:
        started.set()
        outcome.set_result(await read_body(request, LIMIT))
        return web.Response()

    # Not the test server: that one cancels handlers when their peer leaves, a real one does not.
    runner = web.ServerRunner(web.Server(take), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        _, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(f"POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n".encode() + start)
        await started.wait()
        writer.write(rest)
        writer.close()
        verdict = await asyncio.wait_for(outcome, 5)
    finally:
        await runner.cleanup()
    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.status) == ("body_incomplete", 400)
