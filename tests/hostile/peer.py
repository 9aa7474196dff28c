"""Another instance on loopback, honest or not: ``from hostile.peer import FakePeer``.

It serves an actor (signing key included), NodeInfo and whatever documents a test gives it; it keeps every request that
reaches it; and it posts signed activities in which every part can be wrong.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.message_signatures import content_digest, message_headers, sign_by
from support.wire import Answer, raw_request, send_raw

from federation.signatures.digest import sha256_digest
from foundation.clock import Clock, iso_ms
from foundation.httpdate import format_http_date

ACTIVITY_JSON = "application/activity+json"
SIGNED = ("(request-target)", "host", "date", "digest")
PARAMS = '{key_id},algorithm="rsa-sha256",{headers},{signature}'
Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


@functools.cache
def rsa_key(number: int = 0, bits: int = 2048) -> RSAPrivateKey:
    """The same key for the same number."""
    return generate_private_key(65537, bits)


def public_pem(key: RSAPrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One activity that was posted to the peer, with the headers it came with (names in lower case)."""

    path: str
    headers: dict[str, str]
    activity: dict[str, Any]


class FakePeer:
    """``async with FakePeer(clock) as peer:``; ``number`` chooses its key.

    ``asked`` holds every GET as ``"GET /path"``, ``delivered`` every POST that was JSON. ``documents`` answers paths
    with JSON objects, ``responders`` with anything else; both before what it serves by itself.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        number: int = 0,
        software: tuple[str, str] = ("peertube", "6.3.0"),
        address: str = "127.0.0.1",
    ) -> None:
        self.clock = clock
        self.key = rsa_key(number)
        self.software = software
        self.asked: list[str] = []
        self.delivered: list[Delivery] = []
        self.documents: dict[str, Any] = {}
        self.responders: dict[str, Responder] = {}
        self.url = ""
        self._address = address
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> FakePeer:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._address, 0)
        await site.start()
        self.url = f"http://{self._address}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def actor(self) -> str:
        return self.account("peertube")

    def account(self, name: str) -> str:
        return f"{self.url}/accounts/{name}"

    @property
    def fetched(self) -> list[str]:
        """What was asked of it, but for NodeInfo, which everybody who spoke is asked for."""
        return [path for path in self.asked if "nodeinfo" not in path]

    # What it serves

    def actor_document(self, name: str = "peertube", **changes: Any) -> dict[str, Any]:
        """Members that are None are left out; ``publicKey`` may be given in part."""
        actor = self.account(name)
        key = {"id": f"{actor}#main-key", "owner": actor, "publicKeyPem": public_pem(self.key)}
        document = {
            "@context": ["https://www.w3.org/ns/activitystreams", "https://w3id.org/security/v1"],
            "type": "Application" if name == "peertube" else "Person",
            "id": actor,
            "preferredUsername": name,
            "inbox": f"{actor}/inbox",
            "outbox": f"{actor}/outbox",
            "followers": f"{actor}/followers",
            "endpoints": {"sharedInbox": f"{self.url}/inbox"},
            **changes,
            "publicKey": {**key, **changes.get("publicKey", {})},
        }
        return {name: value for name, value in document.items() if value is not None}

    def video_document(self, uuid: str, **changes: Any) -> dict[str, Any]:
        return {
            "type": "Video",
            "id": self.video_url(uuid),
            "uuid": uuid,
            "name": "Sintel",
            "duration": "PT888S",
            "views": 12,
            "published": "2023-11-14T22:13:20.000Z",
            "updated": "2023-11-14T22:13:20.000Z",
            "to": ["https://www.w3.org/ns/activitystreams#Public"],
            "attributedTo": [
                {"type": "Person", "id": self.account("root")},
                {"type": "Group", "id": f"{self.url}/video-channels/films"},
            ],
            **changes,
        }

    def video_url(self, uuid: str) -> str:
        return f"{self.url}/videos/watch/{uuid}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if request.method == "POST":
            await self._receive(request)
        else:
            self.asked.append(f"{request.method} {request.path_qs}")
        responder = self.responders.get(path)
        if responder is not None:
            return await responder(request)
        if request.method == "POST":
            return web.Response(status=204)
        document = self.documents.get(path) or self._own(path)
        if document is None:
            return web.Response(status=404)
        return web.Response(body=json.dumps(document).encode(), content_type=ACTIVITY_JSON)

    async def _receive(self, request: web.Request) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.delivered.append(Delivery(request.path, headers, json.loads(await request.read())))

    def _own(self, path: str) -> dict[str, Any] | None:
        if path.startswith("/accounts/") and path.count("/") == 2:
            return self.actor_document(path.rpartition("/")[2])
        if path == "/.well-known/nodeinfo":
            rel = "http://nodeinfo.diaspora.software/ns/schema/2.0"
            return {"links": [{"rel": rel, "href": f"{self.url}/nodeinfo/2.0.json"}]}
        if path == "/nodeinfo/2.0.json":
            name, version = self.software
            return {"version": "2.0", "software": {"name": name, "version": version}, "protocols": ["activitypub"]}
        return None

    # What it says

    def view(
        self,
        video: str,
        name: str = "viewer",
        *,
        life_ms: int | None = 60_000,
        count: int | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        """A viewer, a total (``count``), or with ``life_ms`` None a counted view, in PeerTube 6.3's shape."""
        activity: dict[str, Any] = {
            "@context": ["https://www.w3.org/ns/activitystreams"],
            "to": ["https://www.w3.org/ns/activitystreams#Public"],
            "cc": [],
            "type": "View",
            "id": f"{self.actor}/views/videos/1/{name}",
            "actor": self.actor,
            "object": video,
        }
        if life_ms is not None:
            activity["expires"] = iso_ms(self.clock.now_ms() + life_ms)
        if count is not None:
            activity["result"] = {
                "interactionType": "WatchAction",
                "type": "InteractionCounter",
                "userInteractionCount": count,
            }
        return {name: value for name, value in (activity | changes).items() if value is not None}

    def collection(self, items: Sequence[object], /, **changes: Any) -> dict[str, Any]:
        return {
            "type": "Collection",
            "id": f"{self.actor}/collections/1",
            "actor": self.actor,
            "totalItems": str(len(items)),
            "items": list(items),
            **changes,
        }

    def request(
        self,
        url: str,
        activity: object,
        *,
        method: str = "POST",
        target: str | None = None,
        signed_method: str | None = None,
        signed_target: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        sent: Mapping[str, str | None] | None = None,
        extra: Sequence[tuple[str, str]] = (),
        names: Sequence[str] = SIGNED,
        params: str = PARAMS,
        key_id: str | None = None,
        key: RSAPrivateKey | None = None,
        sha: HashAlgorithm | None = None,
        sign: Callable[[bytes], bytes] | None = None,
        values: Mapping[str, object] | None = None,
        signature: str | None = None,
        body_sent: bytes | None = None,
    ) -> bytes:
        """A signed request as bytes. ``activity`` may be the body itself.

        ``headers`` replace what is signed (None: left out), ``sent`` what goes out afterwards, ``extra`` comes on top;
        ``target`` is what stands in the request line, ``signed_target`` what the signature says. ``values`` are what
        pseudo-headers stand for in the signed text, ``params`` the Signature header with its usual parts by name,
        ``sign`` makes other signatures, ``signature`` replaces the whole header (``""``: an empty one).
        """
        body = activity if isinstance(activity, bytes) else json.dumps(activity).encode()
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        fields: dict[str, str | None] = {
            "Host": parts.netloc,
            "Date": format_http_date(self.clock.now_ms()),
            "Digest": sha256_digest(body),
            "Content-Type": ACTIVITY_JSON,
            **(headers or {}),
        }
        target_line = f"{(signed_method or method).lower()} {signed_target or path}"
        text = _signed_text(names, fields, {"(request-target)": target_line, **(values or {})})
        make = sign or (lambda raw: (key or self.key).sign(raw, PKCS1v15(), sha or SHA256()))
        header = params.format(
            key_id=f'keyId="{key_id or self.actor}"',
            headers=f'headers="{" ".join(names)}"',
            signature=f'signature="{base64.b64encode(make(text)).decode()}"',
        )
        outgoing = body if body_sent is None else body_sent
        fields |= {"Signature": header if signature is None else signature, "Content-Length": str(len(outgoing))}
        fields |= sent or {}
        lines = [(name, value) for name, value in fields.items() if value is not None]
        return raw_request(method, target or path, [*lines, *extra], outgoing)

    def message(
        self,
        url: str,
        activity: object,
        *,
        method: str = "POST",
        target: str | None = None,
        headers: Mapping[str, str | None] | None = None,
        sent: Mapping[str, str | None] | None = None,
        extra: Sequence[tuple[str, str]] = (),
        body_sent: bytes | None = None,
        key_id: str | None = None,
        created_s: object | None = None,
        signed_url: str | None = None,
        **tampering: Any,
    ) -> bytes:
        """A request signed by RFC 9421, as bytes; arguments as in :meth:`request`, and as in
        :func:`messages.message_headers`."""
        body = activity if isinstance(activity, bytes) else json.dumps(activity).encode()
        parts = urlsplit(url)
        changed = {
            "Host": parts.netloc,
            "Date": format_http_date(self.clock.now_ms()),
            "Content-Digest": content_digest(body),
            "Content-Type": ACTIVITY_JSON,
            **(headers or {}),
        }
        fields = {name: value for name, value in changed.items() if value is not None}
        signature = message_headers(
            method=method,
            url=signed_url or url,
            fields=fields,
            key_id=key_id or self.actor,
            created_s=self.clock.now_ms() // 1000 if created_s is None else created_s,
            **{"sign": sign_by(self.key), **tampering},
        )
        outgoing = body if body_sent is None else body_sent
        arriving: dict[str, str | None] = {**fields, **signature, "Content-Length": str(len(outgoing)), **(sent or {})}
        lines = [(name, value) for name, value in arriving.items() if value is not None]
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return raw_request(method, target or path, [*lines, *extra], outgoing)

    async def post(self, url: str, activity: object, **tampering: Any) -> Answer:
        """Say something to the inbox at ``url``; ``tampering`` as :meth:`request` takes it."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        return await send_raw(parts.hostname, parts.port or 80, self.request(url, activity, **tampering))


def _signed_text(names: Sequence[str], fields: Mapping[str, str | None], values: Mapping[str, object]) -> bytes:
    lowered = {name.lower(): value for name, value in fields.items()}
    lines = [f"{name.lower()}: {values.get(name.lower(), lowered.get(name.lower()) or '')}" for name in names]
    return "\n".join(lines).encode()
