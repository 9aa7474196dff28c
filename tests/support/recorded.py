"""Typed access to the traffic recorded from PeerTube 6.3: ``from support.recorded import load_exchange``."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from federation.keys import RemoteKey, load_public_key
from federation.signatures.verifier import SignedRequest
from foundation.errors import Refused
from foundation.httpdate import http_date_ms

ROOT = Path(__file__).parent.parent / "fixtures" / "peertube-6.3"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as it stood on the wire, and the answer it got."""

    name: str
    what: str
    method: str
    path: str
    headers: Headers
    body: bytes
    status: int
    response_headers: Headers
    response_body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        """The body of the request."""
        return json.loads(self.body)

    @property
    def is_signed(self) -> bool:
        return self.header("signature") is not None

    @property
    def date_ms(self) -> int:
        """The ``Date`` of the request: what a test pins its clock to."""
        instant = http_date_ms(self.header("date") or "")
        assert instant is not None
        return instant

    @property
    def request(self) -> SignedRequest:
        return SignedRequest(self.method, self.path, self.headers, self.body)


@functools.cache
def exchange_names() -> tuple[str, ...]:
    """Every exchange, in order: ``("01-nodeinfo-wellknown", ...)``."""
    return tuple(sorted(path.stem for path in (ROOT / "exchanges").glob("*.json")))


@functools.cache
def load_exchange(name: str) -> Exchange:
    """By name or by number: ``load_exchange("28")`` is ``28-view-viewer-2-to-origin``."""
    (full,) = [known for known in exchange_names() if known == name or known.startswith(f"{name}-")]
    raw = json.loads((ROOT / "exchanges" / f"{full}.json").read_bytes())
    request, response = raw["request"], raw["response"]
    return Exchange(
        name=full,
        what=raw["what"],
        method=request["method"],
        path=request["path"],
        headers=tuple((key, value) for key, value in request["headers"]),
        body=request["body"].encode(),
        status=response["status"],
        response_headers=tuple((key, value) for key, value in response["headers"]),
        response_body=response["body"].encode(),
    )


def load_actor(url: str) -> dict[str, Any]:
    """The document of a recorded actor: ``load_actor("http://127.0.0.1:9001/accounts/peertube")``."""
    document: dict[str, Any] = json.loads(_actor_file(url).with_suffix(".json").read_bytes())
    return document


@functools.cache
def load_key(url: str) -> RemoteKey:
    """The public key of a recorded actor, as the key cache would hold it."""
    public_key = load_public_key(_actor_file(url).with_suffix(".pub.pem").read_text())
    assert not isinstance(public_key, Refused)
    actor = url.partition("#")[0]
    return RemoteKey(f"{actor}#main-key", actor, actor.split("/")[2], public_key)


def minimal_origin(name: str) -> dict[str, Any]:
    """A document of the smallest origin that PeerTube 6.3 takes videos from: ``minimal_origin("video")``."""
    document: dict[str, Any] = json.loads((ROOT / "minimal-origin" / f"{name}.json").read_bytes())
    return document


def _actor_file(url: str) -> Path:
    port, _, path = url.partition("#")[0].removeprefix("http://127.0.0.1:").partition("/")
    return ROOT / "actors" / f"{port}_{path.replace('/', '_')}"
