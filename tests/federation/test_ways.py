"""Which way a request is signed, and what is tried after a refusal: a table, and the walk through it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from handmade import rsa_key

from federation.key_files import write_new_private_key
from federation.own_keys import KeyRing, rotate_keys
from federation.peers.signing import (
    HOUR_MS,
    REMEMBERED_MS,
    Found,
    SignatureMode,
    Way,
    first_way,
    other_ways,
)
from federation.signatures.message_signer import MessageSigner
from federation.signatures.signer import Signer
from federation.signing import RequestSigner, Signing
from foundation.clock import ManualClock
from foundation.metrics import Metrics

AUTO, CAVAGE, RFC9421, ED25519 = SignatureMode
ACTOR = "https://us.example/accounts/peertube"
HOST = "peer.example"
NOW = 1_000_000_000_000


@pytest.mark.parametrize(
    ("mode", "found", "way"),
    [
        (AUTO, None, Way.CAVAGE),
        (AUTO, Found(Way.RFC9421, NOW), Way.RFC9421),
        (AUTO, Found(Way.RFC9421, NOW - REMEMBERED_MS), Way.CAVAGE),
        (AUTO, Found(Way.RFC9421, NOW + HOUR_MS), Way.CAVAGE),  # the clock was set back
        (AUTO, Found(Way.OLD_KEY, NOW), Way.OLD_KEY),
        (AUTO, Found(Way.OLD_KEY, NOW - HOUR_MS), Way.CAVAGE),
        (AUTO, Found(None, NOW), Way.CAVAGE),
        (CAVAGE, Found(Way.RFC9421, NOW), Way.CAVAGE),
        (CAVAGE, Found(Way.OLD_KEY, NOW), Way.OLD_KEY),
        (RFC9421, None, Way.RFC9421),
        (RFC9421, Found(Way.OLD_KEY, NOW), Way.RFC9421),
        (ED25519, None, Way.ED25519),
    ],
)
def test_the_first_way(mode: SignatureMode, found: Found | None, way: Way) -> None:
    assert first_way(mode, found, NOW) is way


@pytest.mark.parametrize(
    ("mode", "used", "status", "found", "old_key", "ways"),
    [
        (AUTO, Way.CAVAGE, 401, None, False, (Way.RFC9421,)),
        (AUTO, Way.CAVAGE, 400, None, False, (Way.RFC9421,)),
        (AUTO, Way.CAVAGE, 403, None, False, ()),
        (AUTO, Way.RFC9421, 401, Found(Way.RFC9421, NOW), False, (Way.CAVAGE,)),
        (AUTO, Way.CAVAGE, 401, None, True, (Way.OLD_KEY, Way.RFC9421)),
        (AUTO, Way.CAVAGE, 403, None, True, (Way.OLD_KEY,)),
        (AUTO, Way.CAVAGE, 400, None, True, (Way.RFC9421,)),
        (AUTO, Way.OLD_KEY, 403, Found(Way.OLD_KEY, NOW), True, (Way.CAVAGE,)),
        (AUTO, Way.OLD_KEY, 401, Found(Way.OLD_KEY, NOW), False, (Way.CAVAGE, Way.RFC9421)),
        (AUTO, Way.CAVAGE, 401, Found(None, NOW - HOUR_MS + 1), True, ()),
        (AUTO, Way.CAVAGE, 401, Found(None, NOW - HOUR_MS), False, (Way.RFC9421,)),
        (CAVAGE, Way.CAVAGE, 401, None, False, ()),
        (CAVAGE, Way.CAVAGE, 401, None, True, (Way.OLD_KEY,)),
        (RFC9421, Way.RFC9421, 401, None, True, ()),
        (ED25519, Way.ED25519, 401, None, True, ()),
        *((AUTO, Way.CAVAGE, status, None, True, ()) for status in (None, 200, 202, 204, 302, 404, 410, 422, 429, 500)),
    ],
)
def test_other_ways(
    mode: SignatureMode, used: Way, status: int | None, found: Found | None, old_key: bool, ways: tuple[Way, ...]
) -> None:
    assert other_ways(mode, used, status, found, NOW, old_key=old_key) == ways


# The walk


@dataclass
class Came:
    status: int | None


class Book:
    """One host, remembered for as long as the test."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.found: Found | None = None

    def way(self, host: str) -> Way:
        assert host == HOST
        return first_way(AUTO, self.found, self.clock.now_ms())

    def other_ways(
        self, host: str, used: Way, status: int | None, *, old_key: bool, rotated_ms: int
    ) -> tuple[Way, ...]:
        return other_ways(AUTO, used, status, self.found, self.clock.now_ms(), old_key=old_key, rotated_ms=rotated_ms)

    def learn_way(self, host: str, way: Way | None) -> None:
        self.found = Found(way, self.clock.now_ms())


def test_what_was_in_vain_with_the_key_before_is_tried_again_after_a_rotation() -> None:
    in_vain = Found(None, NOW - 1_000)
    assert other_ways(AUTO, Way.CAVAGE, 401, in_vain, NOW, old_key=True) == ()
    assert Way.OLD_KEY in other_ways(AUTO, Way.CAVAGE, 401, in_vain, NOW, old_key=True, rotated_ms=NOW - 500)


class Peer:
    """Answers as ``takes`` says of a signer: by key id and kind."""

    def __init__(self, answers: dict[str, int | None], otherwise: int = 401) -> None:
        self.answers = answers
        self.otherwise = otherwise
        self.asked: list[str] = []

    async def __call__(self, signer: RequestSigner) -> Came:
        kind = "rfc9421" if isinstance(signer, MessageSigner) else "cavage"
        assert isinstance(signer, MessageSigner | Signer)
        name = f"{kind} {signer.key_id.partition('#')[2]}"
        self.asked.append(name)
        return Came(self.answers.get(name, self.otherwise))


@pytest.fixture
def directory(tmp_path: Path, clock: ManualClock) -> Path:
    write_new_private_key(tmp_path / "instance.pem", rsa_key(), modified_ms=clock.now_ms())
    return tmp_path


def signing(directory: Path, clock: ManualClock, metrics: Metrics) -> tuple[Signing, Book]:
    book = Book(clock)
    return Signing(KeyRing(directory, clock), book, clock, metrics, actor=ACTOR), book


async def send(out: Signing, peer: Peer) -> int | None:
    return (await out.send(HOST, ACTOR, peer)).status


async def test_whoever_takes_the_draft_is_asked_once(directory: Path, clock: ManualClock, metrics: Metrics) -> None:
    out, book = signing(directory, clock, metrics)
    peer = Peer({"cavage main-key": 204})
    assert [await send(out, peer) for _ in range(3)] == [204] * 3
    assert peer.asked == ["cavage main-key"] * 3
    assert book.found is None


async def test_whoever_wants_the_standard_is_remembered(directory: Path, clock: ManualClock, metrics: Metrics) -> None:
    out, _ = signing(directory, clock, metrics)
    peer = Peer({"rfc9421 main-key": 202})
    assert [await send(out, peer) for _ in range(3)] == [202] * 3
    assert peer.asked == ["cavage main-key"] + ["rfc9421 main-key"] * 3
    taken = {"way": "rfc9421", "outcome": "taken"}
    assert metrics.registry.get_sample_value("fediviews_signature_knocks_total", taken) == 1
    # It learns the draft, and forgets the standard.
    changed = Peer({"cavage main-key": 204})
    assert [await send(out, changed) for _ in range(2)] == [204] * 2
    assert changed.asked == ["rfc9421 main-key", "cavage main-key", "cavage main-key"]


async def test_whoever_refuses_everything_is_left_alone(directory: Path, clock: ManualClock, metrics: Metrics) -> None:
    out, _ = signing(directory, clock, metrics)
    peer = Peer({})
    assert [await send(out, peer) for _ in range(3)] == [401] * 3
    assert peer.asked == ["cavage main-key", "rfc9421 main-key", "cavage main-key", "cavage main-key"]
    clock.advance(HOUR_MS)
    await send(out, peer)
    assert peer.asked[4:] == ["cavage main-key", "rfc9421 main-key"]


@pytest.mark.parametrize("status", [None, 200, 302, 404, 422, 500, 503])
async def test_only_a_refusal_is_knocked_at_twice(
    status: int | None, directory: Path, clock: ManualClock, metrics: Metrics
) -> None:
    out, _ = signing(directory, clock, metrics)
    peer = Peer({"cavage main-key": status})
    assert await send(out, peer) == status
    assert len(peer.asked) == 1


async def test_what_the_second_way_met_is_the_answer(directory: Path, clock: ManualClock, metrics: Metrics) -> None:
    out, book = signing(directory, clock, metrics)
    assert await send(out, Peer({"rfc9421 main-key": 503})) == 503
    assert book.found is None


async def test_a_peer_that_remembers_our_old_key(directory: Path, clock: ManualClock, metrics: Metrics) -> None:
    ring = KeyRing(directory, clock)
    book = Book(clock)
    out = Signing(ring, book, clock, metrics, actor=ACTOR)
    peer = Peer({"cavage main-key": 204}, otherwise=403)
    await send(out, peer)
    rotate_keys(directory, clock.now_ms())
    assert ring.reload()
    assert [await send(out, peer) for _ in range(3)] == [204] * 3
    assert peer.asked == ["cavage main-key", "cavage main-key-2", *["cavage main-key"] * 3]
    # It looked at our actor again.
    peer.answers = {"cavage main-key-2": 204}
    assert [await send(out, peer) for _ in range(2)] == [204] * 2
    assert peer.asked[5:] == ["cavage main-key", "cavage main-key-2", "cavage main-key-2"]


async def test_ed25519_signs_where_it_is_wanted(directory: Path, clock: ManualClock, metrics: Metrics) -> None:
    ring = KeyRing(directory, clock, with_ed25519=True)
    out = Signing(ring, Book(clock), clock, metrics, actor=ACTOR)
    signer = out.signer(ACTOR, Way.ED25519)
    headers = signer.sign_headers("POST", f"https://{HOST}/inbox", b"{}", clock.now_ms())
    assert f'keyid="{ACTOR}#ed25519-key";alg="ed25519"' in headers["Signature-Input"]
    assert out.signer(ACTOR, Way.ED25519) is signer
    assert out.signer("https://us.example/accounts/owner", Way.CAVAGE).key_id.endswith("/owner#main-key")  # type: ignore[attr-defined]


async def test_signers_are_bounded(directory: Path, clock: ManualClock, metrics: Metrics) -> None:
    out, _ = signing(directory, clock, metrics)
    for number in range(200):
        out.signer(f"{ACTOR}{number}", Way.RFC9421)
    assert len(out._signers) <= 64
