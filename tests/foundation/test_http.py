from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from foundation.clock import ManualClock
from foundation.errors import FetchFailed
from foundation.http import HttpClient
from foundation.http_response import MAX_ANSWER_BYTES
from foundation.httpdate import format_http_date
from foundation.metrics import Metrics

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Client = Callable[..., HttpClient]
Serve = Callable[..., Awaitable[TestServer]]


class FakeResolver(AbstractResolver):
    """Answers in turn, the last one for ever; remembers what it was asked."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not addresses:
            raise OSError("no such name")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing to release."""


@pytest.fixture
async def make_client(clock: ManualClock) -> AsyncIterator[Client]:
    """Clients that may talk to loopback unless told otherwise; closed afterwards."""
    made: list[HttpClient] = []

    def make(**options: Any) -> HttpClient:
        settings: dict[str, Any] = {"allow_private_addresses": True, "allow_http": True, "user_agent": "Test/1"}
        metrics = options.pop("metrics", None) or Metrics()
        client = HttpClient(clock, metrics, **{**settings, **options})
        made.append(client)
        return client

    yield make
    for client in made:
        await client.close()


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Real servers on loopback, by path."""
    servers: list[TestServer] = []

    async def start(routes: Mapping[str, Handler], *, tls: ssl.SSLContext | None = None) -> TestServer:
        app = web.Application()
        for path, handler in routes.items():
            app.router.add_route("*", path, handler)
        server = TestServer(app, scheme="http" if tls is None else "https")
        await server.start_server(ssl=tls, shutdown_timeout=0.1)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def raw_server() -> AsyncIterator[Callable[[bytes], Awaitable[str]]]:
    """A server that says exactly these bytes to whoever connects, and closes."""
    servers: list[asyncio.Server] = []

    async def start(answer: bytes) -> str:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def failure(exchange: Awaitable[object]) -> FetchFailed:
    with pytest.raises(FetchFailed) as caught:
        await exchange
    return caught.value


async def never(request: web.Request) -> web.Response:
    raise AssertionError("must not be asked")


async def echo(request: web.Request) -> web.Response:
    """What arrived, as a document."""
    body = await request.read()
    return web.json_response(
        {"method": request.method, "target": request.raw_path, "body": body.decode(), "headers": dict(request.headers)},
        headers={"X-Method": request.method},
    )


def redirect(to: str | Callable[[], str], status: int = 302) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": to if isinstance(to, str) else to()})

    return handler


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=int(request.query.get("status", "200")))
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x" * 65_536)
    except ConnectionError:
        return response


# ---------------------------------------------------------------------------------------------------- the plain way


async def test_a_document_comes_with_what_is_known_about_it(
    make_client: Client, serve: Serve, clock: ManualClock
) -> None:
    async def document(request: web.Request) -> web.Response:
        return web.Response(
            body=b'{"a":1}',
            headers={
                "Content-Type": "Application/Activity+JSON; charset=utf-8",
                "Date": format_http_date(clock.now_ms() - 5_000),
                "Retry-After": format_http_date(clock.now_ms() + 9_000),
            },
        )

    server = await serve({"/a": document})
    response = await make_client().get(f"HTTP://127.0.0.1:{server.port}/a#key", accept="application/activity+json")
    assert (response.status, response.ok, response.body, response.truncated) == (200, True, b'{"a":1}', False)
    assert response.url == f"http://127.0.0.1:{server.port}/a"
    assert response.headers["content-TYPE"].startswith("Application/")
    assert response.media_type == "application/activity+json"
    assert response.received_ms == clock.now_ms()
    assert response.date_ms == clock.now_ms() - 5_000
    assert response.retry_after_s == 9


async def test_what_is_sent(make_client: Client, serve: Serve) -> None:
    seen: list[Mapping[str, str]] = []

    async def look(request: web.Request) -> web.Response:
        seen.append(request.headers)
        assert request.raw_path == "/%7Ea/..%2fb?c=%C3%BC"
        return web.Response(headers={"Set-Cookie": "a=b; Path=/"})

    server = await serve({"/{tail:.*}": look})
    client = make_client()
    for _ in range(2):
        await client.get(
            f"http://127.0.0.1:{server.port}/%7Ea/..%2fb?c=ü", accept="application/json", headers={"X-More": "1"}
        )
    for headers in seen:
        assert headers["User-Agent"] == "Test/1"
        assert headers["Accept"] == "application/json"
        assert headers["Accept-Encoding"] == "identity"
        assert headers["X-More"] == "1"
        assert "Cookie" not in headers


async def test_the_signature_covers_what_goes_on_the_wire(make_client: Client, serve: Serve) -> None:
    signed: list[tuple[str, str, bytes]] = []

    def sign(method: str, url: str, body: bytes) -> Mapping[str, str]:
        signed.append((method, url, body))
        return {"Signature": f"number {len(signed)}"}

    server = await serve({"/old": redirect("/new?x=1", 301), "/new": echo, "/inbox": echo})
    base = f"http://127.0.0.1:{server.port}"
    client = make_client()
    fetched = await client.get(f"{base}/old", accept="*/*", sign=sign)
    posted = await client.post(f"{base}/inbox", b"{}", headers={"Content-Type": "application/activity+json"}, sign=sign)
    assert signed == [("GET", f"{base}/old", b""), ("GET", f"{base}/new?x=1", b""), ("POST", f"{base}/inbox", b"{}")]
    assert b"number 2" in fetched.body
    assert fetched.url == f"{base}/new?x=1"
    assert b"number 3" in posted.body
    assert b'"body": "{}"' in posted.body


async def test_an_error_status_is_an_answer(make_client: Client, serve: Serve) -> None:
    async def busy(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "1000000000"}, text="later")

    server = await serve({"/busy": busy})
    response = await make_client().get(f"http://127.0.0.1:{server.port}/busy", accept="*/*")
    assert (response.status, response.ok, response.body) == (429, False, b"later")
    assert response.retry_after_s == 86_400


async def test_connections_are_used_again(make_client: Client, serve: Serve) -> None:
    peers: set[object] = set()

    async def who(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        await request.read()
        return web.Response(text="ok")

    server = await serve({"/": who})
    client = make_client()
    for _ in range(3):
        await client.get(f"http://127.0.0.1:{server.port}/", accept="*/*")
        await client.post(f"http://127.0.0.1:{server.port}/", b"x", headers={})
    assert len(peers) == 1


async def test_connections_per_host_are_bounded(make_client: Client, serve: Serve) -> None:
    now, most = 0, 0
    several, gate = asyncio.Event(), asyncio.Event()

    async def count(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if now == 2:
            several.set()
        await gate.wait()
        now -= 1
        return web.Response()

    server = await serve({"/": count})
    client = make_client(connections_per_host=2)
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(client.get(f"http://127.0.0.1:{server.port}/", accept="*/*"))
        await several.wait()
        gate.set()
    assert most == 2


async def test_outcomes_are_counted(make_client: Client, serve: Serve, metrics: Metrics) -> None:
    server = await serve({"/": echo})
    client = make_client(metrics=metrics, allow_http=True)
    await client.get(f"http://127.0.0.1:{server.port}/", accept="*/*")
    await client.get(f"http://127.0.0.1:{server.port}/missing", accept="*/*")
    await failure(client.post("ftp://peer.example/", b"", headers={}))
    text = metrics.render().decode()
    assert 'fediviews_federation_requests_total{method="GET",outcome="2xx"} 1.0' in text
    assert 'fediviews_federation_requests_total{method="GET",outcome="4xx"} 1.0' in text
    assert 'fediviews_federation_requests_total{method="POST",outcome="scheme_refused"} 1.0' in text


async def test_a_closed_client_says_so(make_client: Client) -> None:
    client = make_client()
    async with client:
        pass
    assert (await failure(client.get("http://127.0.0.1:9/", accept="*/*"))).reason == "unreachable"


# ---------------------------------------------------------------------------------------------- where nothing may go

ODD_AND_INNER = [
    *("127.0.0.1", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "0x7f000001", "127.1", "0177.0.0.1", "[::]"),
    *("[::ffff:127.0.0.1]", "[::ffff:8.8.8.8]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]", "[2002:7f00:1::]"),
    *("[2001:0:1::1]", "100.64.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "198.18.0.1"),
    *("192.0.0.1", "240.0.0.1", "255.255.255.255", "224.0.0.1", "[fe80::1]", "[fc00::1]", "[ff02::1]"),
    *("localhost", "localhost.", "LOCALHOST", "a.localhost", "printer.local", "metadata.google.internal", "x.onion"),
    *("router.home.arpa", "127.0.0.1.", "１２７.0.0.1"),
]


@pytest.mark.parametrize("host", ODD_AND_INNER)
async def test_inner_addresses_are_refused_without_a_look_up(make_client: Client, host: str) -> None:
    resolver = FakeResolver(["127.0.0.1"])
    client = make_client(allow_private_addresses=False, resolver=resolver)
    for exchange in (
        client.get(f"https://{host}/x", accept="*/*"),
        client.get(f"http://{host}:8080/x", accept="*/*"),
        client.post(f"https://{host}/x", b"", headers={}),
    ):
        assert (await failure(exchange)).reason == "address_refused"
    assert resolver.asked == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["10.0.0.1", "fe80::1%eth0"], ["::ffff:127.0.0.1"], ["100.64.0.1"], ["64:ff9b::7f00:1"]],
)
async def test_names_of_inner_addresses_are_refused_at_dial(
    make_client: Client, serve: Serve, addresses: list[str]
) -> None:
    server = await serve({"/": never})
    client = make_client(allow_private_addresses=False, resolver=FakeResolver(addresses))
    error = await failure(client.get(f"http://peer.example:{server.port}/", accept="*/*"))
    assert error.reason == "address_refused"
    assert "127" not in error.detail


async def test_a_name_that_rebinds_is_refused_at_dial(
    make_client: Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is good, every later one leads inside: nothing but checked answers is dialled."""
    server = await serve({"/": never})
    dialled: list[object] = []

    async def dial(loop: object, sock: socket.socket, address: object) -> None:
        dialled.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", dial)
    resolver = FakeResolver(["8.8.8.8"], ["127.0.0.1"])
    url = f"http://peer.example:{server.port}/"
    assert (
        await failure(make_client(allow_private_addresses=False, resolver=resolver).get(url, accept="*/*"))
    ).reason == "unreachable"
    # Another client has no cached answer and asks again.
    assert (
        await failure(make_client(allow_private_addresses=False, resolver=resolver).get(url, accept="*/*"))
    ).reason == "address_refused"
    assert dialled == [("8.8.8.8", server.port)]
    assert resolver.asked == ["peer.example", "peer.example"]


async def test_only_the_public_part_of_an_answer_is_dialled(
    make_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[object] = []

    async def dial(loop: object, sock: socket.socket, address: tuple[object, ...]) -> None:
        dialled.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", dial)
    resolver = FakeResolver(["10.0.0.1", "8.8.8.8", "64:ff9b::a00:1"])
    client = make_client(allow_private_addresses=False, resolver=resolver)
    assert (await failure(client.get("https://peer.example/", accept="*/*"))).reason == "unreachable"
    assert dialled == ["8.8.8.8"]


async def test_the_socket_is_the_last_net(make_client: Client, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if an inner address came past the first two nets, no connection is made."""
    server = await serve({"/": never})
    monkeypatch.setattr("foundation.http.is_dialable", lambda host: True)
    client = make_client(allow_private_addresses=False)
    error = await failure(client.get(f"http://127.0.0.1:{server.port}/", accept="*/*"))
    assert error.reason == "address_refused"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://peer.example/", "scheme_refused"),
        ("ftp://peer.example/", "scheme_refused"),
        ("file:///etc/passwd", "scheme_refused"),
        ("data:text/html,x", "scheme_refused"),
        ("javascript:alert(1)", "scheme_refused"),
        ("", "bad_url"),
        ("peer.example/x", "bad_url"),
        ("https://user:word@peer.example/", "bad_url"),
        ("https://peer.example/a\r\nX: y", "bad_url"),
        ("https://peer.example/" + "x" * 2000, "bad_url"),
        ("https://peer.example:22/", "address_refused"),
    ],
)
async def test_urls_that_are_not_fetched(make_client: Client, url: str, reason: str) -> None:
    resolver = FakeResolver(["8.8.8.8"])
    client = make_client(allow_private_addresses=False, allow_http=False, resolver=resolver)
    assert (await failure(client.get(url, accept="*/*"))).reason == reason
    assert (await failure(client.post(url, b"", headers={}))).reason == reason
    assert resolver.asked == []


async def test_a_list_of_ports(make_client: Client, serve: Serve) -> None:
    server = await serve({"/": echo})
    url = f"http://127.0.0.1:{server.port}/"
    assert (await make_client(allowed_ports=[server.port]).get(url, accept="*/*")).ok
    assert (await failure(make_client(allowed_ports=[443]).get(url, accept="*/*"))).reason == "address_refused"


# -------------------------------------------------------------------------------------------------------- redirects


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1:1/", "address_refused"),
        ("http://[::1]:1/", "address_refused"),
        ("//2130706433/", "address_refused"),
        ("http://localhost./", "address_refused"),
        ("file:///etc/passwd", "scheme_refused"),
        ("http://u@peer.example/", "bad_url"),
        ("http://[", "bad_url"),
        ("http://peer.example/\\x", "bad_url"),
        ("http://peer.example/" + "x" * 4000, "bad_url"),
        ("", "redirect_refused"),
    ],
)
async def test_every_hop_is_checked(
    make_client: Client, serve: Serve, monkeypatch: pytest.MonkeyPatch, location: str, reason: str
) -> None:
    server = await serve({"/": redirect(location)})
    # A server on loopback plays the peer, so dialling is open; each hop's URL is judged as it is.
    monkeypatch.setattr("foundation.http.GuardedResolver", lambda inner: inner)
    monkeypatch.setattr("foundation.http.guarded_socket", None)
    client = make_client(allow_private_addresses=False, resolver=FakeResolver(["127.0.0.1"]))
    error = await failure(client.get(f"http://peer.example:{server.port}/", accept="*/*"))
    assert error.reason == reason


async def test_redirects_are_followed_up_to_the_limit(make_client: Client, serve: Serve) -> None:
    server = await serve(
        {
            "/loop": redirect("/loop"),
            "/3": redirect("/2", 307),
            "/2": redirect("/1", 308),
            "/1": redirect("0", 303),
            "/0": echo,
        }
    )
    base = f"http://127.0.0.1:{server.port}"
    client = make_client()
    assert (await client.get(f"{base}/2", accept="*/*")).url == f"{base}/0"
    assert (await failure(client.get(f"{base}/3", accept="*/*"))).reason == "too_many_redirects"
    assert (await failure(client.get(f"{base}/loop", accept="*/*"))).reason == "too_many_redirects"
    assert (await failure(make_client(max_redirects=0).get(f"{base}/1", accept="*/*"))).reason == "too_many_redirects"


async def test_credentials_stay_with_their_host(make_client: Client, serve: Serve) -> None:
    other = await serve({"/": echo})
    server = await serve({"/away": redirect(str(other.make_url("/"))), "/near": redirect("/"), "/": echo})
    client = make_client()
    headers = {"Authorization": "Bearer secret", "X-More": "kept"}
    away = await client.get(str(server.make_url("/away")), accept="*/*", headers=headers)
    assert b"secret" not in away.body
    assert b"kept" in away.body
    near = await client.get(str(server.make_url("/near")), accept="*/*", headers=headers)
    assert b"secret" in near.body


async def test_a_post_is_never_sent_elsewhere(make_client: Client, serve: Serve) -> None:
    server = await serve({"/inbox": redirect("/elsewhere", 307), "/elsewhere": never})
    response = await make_client().post(str(server.make_url("/inbox")), b"{}", headers={})
    assert (response.status, response.headers["Location"]) == (307, "/elsewhere")


async def test_https_does_not_fall_back_to_http(make_client: Client, serve: Serve, certificate: Path) -> None:
    plain = await serve({"/": never})
    secure = await serve({"/down": redirect(lambda: f"http://localhost:{plain.port}/")}, tls=server_tls(certificate))
    client = make_client(ssl_context=ssl.create_default_context(cafile=str(certificate)))
    error = await failure(client.get(f"https://localhost:{secure.port}/down", accept="*/*"))
    assert error.reason == "redirect_refused"


# ------------------------------------------------------------------------------------------------------------- TLS


async def test_tls(make_client: Client, serve: Serve, certificate: Path) -> None:
    secure = await serve({"/": echo}, tls=server_tls(certificate))
    plain = await serve({"/": never})
    trusting = make_client(ssl_context=ssl.create_default_context(cafile=str(certificate)))
    assert (await trusting.get(f"https://localhost:{secure.port}/", accept="*/*")).ok
    wrong_name = await failure(trusting.get(f"https://127.0.0.1:{secure.port}/", accept="*/*"))
    assert wrong_name.reason == "tls_failed"
    unknown = await failure(make_client().get(f"https://localhost:{secure.port}/", accept="*/*"))
    assert unknown.reason == "tls_failed"
    no_tls = await failure(trusting.get(f"https://localhost:{plain.port}/", accept="*/*"))
    assert no_tls.reason == "tls_failed"


# ---------------------------------------------------------------------------------------------------------- bounds


async def test_documents_are_bounded(make_client: Client, serve: Serve) -> None:
    async def sized(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.query["n"]))

    async def announced(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000000000"})
        await response.prepare(request)
        return response

    server = await serve({"/sized": sized, "/endless": endless, "/announced": announced})
    base = f"http://127.0.0.1:{server.port}"
    client = make_client(max_document_bytes=1_000)
    assert len((await client.get(f"{base}/sized?n=1000", accept="*/*")).body) == 1_000
    assert len((await client.get(f"{base}/sized?n=2000", accept="*/*", max_bytes=2_000)).body) == 2_000
    for path in ("/sized?n=1001", "/endless", "/announced"):
        error = await failure(client.get(base + path, accept="*/*"))
        assert (error.reason, error.status) == ("too_large", 200)


async def test_answers_nobody_needs_are_cut(make_client: Client, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # By their size, not by the time they take.
    monkeypatch.setattr("foundation.http_response.ANSWER_WAIT_MS", 60_000)
    server = await serve({"/": endless})
    client = make_client(timeout_ms=5_000)
    posted = await client.post(str(server.make_url("/?status=202")), b"{}", headers={})
    assert (posted.status, len(posted.body), posted.truncated) == (202, MAX_ANSWER_BYTES, True)
    missing = await client.get(str(server.make_url("/?status=404")), accept="*/*")
    assert (missing.status, len(missing.body), missing.truncated) == (404, MAX_ANSWER_BYTES, True)


async def test_a_status_counts_although_its_body_hangs(
    make_client: Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = asyncio.Event()

    async def hanging(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        await response.write(b"some")
        await released.wait()
        return response

    monkeypatch.setattr("foundation.http_response.ANSWER_WAIT_MS", 20)
    server = await serve({"/": hanging})
    response = await make_client().post(str(server.make_url("/")), b"{}", headers={})
    released.set()
    assert (response.status, response.body, response.truncated) == (202, b"some", True)


async def test_compressed_answers_are_not_unpacked(make_client: Client, serve: Serve) -> None:
    packed = gzip.compress(b"x" * 1_000_000)

    async def bomb(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    server = await serve({"/": bomb})
    client = make_client()
    assert (await failure(client.get(str(server.make_url("/")), accept="*/*"))).reason == "protocol_error"
    assert (await client.post(str(server.make_url("/")), b"", headers={})).body == packed


@pytest.mark.parametrize("drip", [False, True])
async def test_the_timeout_is_for_everything(make_client: Client, serve: Serve, drip: bool) -> None:
    gone = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        try:
            if drip:
                await response.prepare(request)
                while True:
                    await response.write(b"x")
                    await asyncio.sleep(0.01)
            await asyncio.Event().wait()
        except (ConnectionError, asyncio.CancelledError):
            gone.set()
            raise
        return response

    server = await serve({"/": slow, "/hop": redirect("/")})
    error = await failure(make_client(timeout_ms=80).get(str(server.make_url("/hop")), accept="*/*"))
    assert error.reason == "timeout"
    if drip:
        await gone.wait()


async def test_cancelling_is_not_a_failure(make_client: Client, serve: Serve) -> None:
    started = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        started.set()
        await asyncio.Event().wait()
        return web.Response()

    server = await serve({"/": hang})
    task = asyncio.create_task(make_client().get(str(server.make_url("/")), accept="*/*"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ------------------------------------------------------------------------------------------------ broken other sides


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "unreachable"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "protocol_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "protocol_error"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "protocol_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", "protocol_error"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", "protocol_error"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2_000 + b"\r\n", "protocol_error"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\nContent-Length: 0\r\n\r\n", "bad_url"),
    ],
)
async def test_what_is_not_http(
    make_client: Client, raw_server: Callable[[bytes], Awaitable[str]], answer: bytes, reason: str
) -> None:
    url = await raw_server(answer)
    assert (await failure(make_client().get(url, accept="*/*"))).reason == reason


async def test_nobody_there(make_client: Client) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert (await failure(make_client().get(f"http://127.0.0.1:{port}/", accept="*/*"))).reason == "unreachable"
    nameless = make_client(resolver=FakeResolver([]))
    assert (await failure(nameless.get("https://peer.example/", accept="*/*"))).reason == "unreachable"


async def test_the_systems_resolver(make_client: Client, serve: Serve) -> None:
    server = await serve({"/": echo})
    client = make_client()
    assert (await client.get(f"http://localhost:{server.port}/", accept="*/*")).ok
