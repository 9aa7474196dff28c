"""Signed Views of another instance, applied, beside a bare handler that only verifies.

The bare handler reads the body, parses the Signature header, checks the digest, verifies with RSA and answers 204. The
service does all it does: policy, quotas, parsing, the four cases, live store, journal. 4 000 viewers of one peer on one
of our videos; the peer's key is fetched once, before anything is measured.
"""

from __future__ import annotations

import itertools
from multiprocessing.connection import Connection

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.house import listening, running_service
from benchmarks.load import CONNECTIONS, Load, NextRequest, Row, answer_questions, compare, post, serving
from federation.keys import KeyPair
from federation.signatures.cavage import find_signature, joined_fields, parse_signature, signing_string
from federation.signatures.digest import check_digest
from federation.signatures.signer import Signer
from federation.vocabulary import CONTENT_TYPE, PUBLIC
from federation.vocabulary.build import encode, view_viewer
from foundation.clock import SystemClock
from foundation.errors import Refused
from views.counters.memory import MemoryCounterStore
from views.model import VideoDraft

VIEWERS = 4_000
VIDEO = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
GOAL = 0.7
LIFE_MS = 500_000


def verifying_only(key: RSAPublicKey) -> web.Application:
    padding, sha = PKCS1v15(), SHA256()

    async def bare(request: web.Request) -> web.Response:
        body = await request.read()
        headers = tuple(request.headers.items())
        text = find_signature(headers)
        assert not isinstance(text, Refused)
        params = parse_signature(text)
        assert not isinstance(params, Refused)
        fields = joined_fields(headers, params.signed_names)
        assert check_digest(fields["digest"], body) is None
        signed = signing_string(params, request.method, request.raw_path, fields)
        assert not isinstance(signed, Refused)
        key.verify(params.signature, signed, padding, sha)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/inbox", bare)
    return app


def peer(document: dict[str, object]) -> web.Application:
    async def actor(_request: web.Request) -> web.Response:
        return web.json_response(document, content_type=CONTENT_TYPE.partition(";")[0])

    app = web.Application()
    app.router.add_get("/accounts/peertube", actor)
    return app


async def serve(pipe: Connection) -> None:
    """Sends the two ports and the signed requests."""
    pair = KeyPair.generate()
    document: dict[str, object] = {}
    async with (
        running_service() as service,
        listening(peer(document)) as peer_port,
        listening(verifying_only(pair.private_key.public_key())) as bare_port,
    ):
        actor = f"http://127.0.0.1:{peer_port}/accounts/peertube"
        document |= {
            "id": actor,
            "type": "Application",
            "preferredUsername": "peertube",
            "inbox": f"{actor}/inbox",
            "publicKey": {"id": f"{actor}#main-key", "owner": actor, "publicKeyPem": pair.public_pem},
        }
        put = await service.views.catalog.put_local(VideoDraft(VIDEO, "Benchmark", 600))
        assert not isinstance(put, Refused)
        signer = Signer(f"{actor}#main-key", pair.private_key)
        port, url = service.config.listen.port, put[0].url
        pipe.send((bare_port, port, signed_views(signer, actor, url, f"http://127.0.0.1:{port}/inbox")))
        counters = service.ground.live.counters
        assert isinstance(counters, MemoryCounterStore)
        await answer_questions(pipe, {"viewers": lambda: len(counters)})


def signed_views(signer: Signer, actor: str, video: str, inbox: str, life_ms: int = LIFE_MS) -> list[bytes]:
    """Made beforehand: signing costs ten times what verifying does."""
    now_ms = SystemClock().now_ms()
    requests = []
    for number in range(VIEWERS):
        view = view_viewer(
            actor=actor,
            number=7,
            wire_id=f"viewer-{number}",
            video=video,
            to=[PUBLIC, f"{actor}/followers"],
            expires_ms=now_ms + life_ms,
            published_ms=now_ms,
        )
        body = encode(view)
        signed = signer.sign_headers("POST", inbox, body, now_ms)
        headers = {
            **signed,
            "Content-Type": CONTENT_TYPE,
            "Accept": "application/activity+json",
            "User-Agent": "PeerTube",
        }
        requests.append(post("/inbox", body, headers))
    return requests


def connection(requests: list[bytes], number: int) -> NextRequest:
    return itertools.cycle(requests[number::CONNECTIONS]).__next__


def run(seconds: float, rounds: int) -> list[Row]:
    with serving(serve) as server:
        bare_port, port, requests = server.ready
        bare, ours = compare(
            server,
            [
                Load("verifying only", bare_port, lambda number: connection(requests, number)),
                Load("signed View applied", port, lambda number: connection(requests, number)),
            ],
            seconds,
            rounds,
        )
        # Every answer was 204, which says applied (a drop is 202); the viewers have to be there, too.
        if server.ask("viewers") == 0:
            raise SystemExit("no View was applied")
    return [
        Row(ours.name, f"{ours.text} ({ours.per_round(bare)})", f"{bare.name}: {bare.text}", ours.share_of(bare), GOAL)
    ]
