from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest
from handmade import ACTOR, KEY_ID, NOW_MS, PROFILE, ed25519_key, make, rsa_key

from federation.actors import ActorDocument
from federation.keys import KeyCache, KeyPair, KeyPolicy, RemoteKey
from federation.multikey import encode_multikey
from federation.origins import Origins
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.verifier import Inspected, Verified, inspect
from foundation.clock import ManualClock
from foundation.errors import Refused
from foundation.metrics import Metrics

DOCUMENT = ActorDocument(
    id=ACTOR,
    type="Application",
    preferred_username="peertube",
    inbox=f"{ACTOR}/inbox",
    shared_inbox="https://peer.example/inbox",
    followers=None,
    outbox=None,
    public_key_id=KEY_ID,
    public_key_pem=KeyPair.of(rsa_key()).public_pem,
)
ROTATED = msgspec.structs.replace(DOCUMENT, public_key_pem=KeyPair.of(rsa_key(number=1)).public_pem)
GONE = refuse(SignatureReason.ACTOR_GONE)
DOWN = Refused(SignatureReason.KEY_UNAVAILABLE, "timeout", 503, 10)
BARRED = refuse(SignatureReason.KEY_UNAVAILABLE, "status 403")


class Fetcher:
    """Answers with what ``answer`` holds, when ``gate`` is open."""

    def __init__(self, answer: ActorDocument | Refused | Callable[[str], ActorDocument | Refused] = DOCUMENT) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch_key_owner(self, url: str, onward: Callable[[str], None]) -> ActorDocument | Refused:
        self.asked.append(url)
        answer = self.answer
        await self.gate.wait()
        return answer(url) if callable(answer) else answer


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher()


@pytest.fixture
def cache(clock: ManualClock, metrics: Metrics, fetcher: Fetcher) -> KeyCache:
    return KeyCache(clock, fetcher, metrics, KeyPolicy(own_authorities=frozenset({"tube.example"})))


def reason(verdict: object) -> str:
    return str(verdict.reason) if isinstance(verdict, Refused) else "ok"


def signed(**how: object) -> Inspected:
    inspected = inspect(make(**how), PROFILE, NOW_MS)  # type: ignore[arg-type]
    assert isinstance(inspected, Inspected)
    return inspected


async def everybody_waits() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_key_is_fetched_once_with_or_without_fragment(cache: KeyCache, fetcher: Fetcher) -> None:
    key = await cache.get(KEY_ID)
    assert isinstance(key, RemoteKey)
    assert (key.key_id, key.actor, key.authority, key.actor_type) == (KEY_ID, ACTOR, "peer.example", "Application")
    assert (key.inbox, key.shared_inbox) == (f"{ACTOR}/inbox", "https://peer.example/inbox")
    assert key.fetched_ms == 1_800_000_000_000
    assert await cache.get(ACTOR) is key
    assert fetcher.asked == [ACTOR]


async def test_a_key_is_fetched_again_after_two_days(cache: KeyCache, fetcher: Fetcher, clock: ManualClock) -> None:
    await cache.get(KEY_ID)
    clock.advance(2 * 86_400_000 - 1)
    await cache.get(KEY_ID)
    assert len(fetcher.asked) == 1
    clock.advance(1)
    fetcher.answer = ROTATED
    newer = await cache.get(KEY_ID)
    assert isinstance(newer, RemoteKey)
    assert newer.public_key == rsa_key(number=1).public_key()
    assert len(fetcher.asked) == 2


async def test_an_old_key_serves_on_while_its_host_is_down(
    cache: KeyCache, fetcher: Fetcher, clock: ManualClock
) -> None:
    key = await cache.get(KEY_ID)
    clock.advance(2 * 86_400_000)
    fetcher.answer = DOWN
    assert await cache.get(KEY_ID) is key
    assert await cache.get(KEY_ID) is key
    assert len(fetcher.asked) == 2  # and it is asked again only a minute later
    clock.advance(60_000)
    assert await cache.get(KEY_ID) is key
    assert len(fetcher.asked) == 3
    clock.advance(2 * 86_400_000)
    assert await cache.get(KEY_ID) == DOWN


async def test_an_old_key_is_not_driven_out_by_junk_of_its_host(
    cache: KeyCache, fetcher: Fetcher, clock: ManualClock
) -> None:
    key = await cache.get(KEY_ID)
    clock.advance(2 * 86_400_000)
    fetcher.answer = GONE
    for number in range(40):
        await cache.get(f"https://peer.example/u/{number}")
    assert await cache.get(KEY_ID) is key


async def test_an_old_key_goes_with_its_actor(cache: KeyCache, fetcher: Fetcher, clock: ManualClock) -> None:
    await cache.get(KEY_ID)
    clock.advance(2 * 86_400_000)
    fetcher.answer = GONE
    assert await cache.get(KEY_ID) == GONE


async def test_the_wall_clock_may_jump(cache: KeyCache, fetcher: Fetcher, clock: ManualClock) -> None:
    await cache.get(KEY_ID)
    for jump_ms in (-3_600_000, 10 * 86_400_000):
        clock.set_wall(clock.now_ms() + jump_ms)
        await cache.get(KEY_ID)
    assert len(fetcher.asked) == 1


@pytest.mark.parametrize(
    ("answer", "lifetime_ms"), [(DOWN, 10_000), (BARRED, 60_000), (GONE, 600_000)], ids=["down", "barred", "93 gone"]
)
async def test_failures_are_remembered(
    cache: KeyCache, fetcher: Fetcher, clock: ManualClock, answer: Refused, lifetime_ms: int
) -> None:
    fetcher.answer = answer
    assert await cache.get(KEY_ID) == answer
    clock.advance(lifetime_ms - 1)
    assert reason(await cache.get(ACTOR)) == answer.reason
    assert len(fetcher.asked) == 1
    clock.advance(1)
    fetcher.answer = DOCUMENT
    assert reason(await cache.get(KEY_ID)) == "ok"


async def test_who_is_to_come_again_is_told_when(cache: KeyCache, fetcher: Fetcher, clock: ManualClock) -> None:
    fetcher.answer = DOWN
    assert await cache.get(KEY_ID) == DOWN
    clock.advance(8_500)
    again = await cache.get(KEY_ID)
    assert isinstance(again, Refused)
    assert (again.status, again.retry_after_s, len(fetcher.asked)) == (503, 2, 1)


@pytest.mark.parametrize("failure", [DOWN, GONE, BARRED, refuse(SignatureReason.BAD_ACTOR)], ids=str)
async def test_what_a_stranger_had_tried_in_vain_does_not_speak_against_others(
    cache: KeyCache, fetcher: Fetcher, failure: Refused
) -> None:
    fetcher.answer = failure
    assert await cache.get(KEY_ID, "192.0.2.1") == failure
    fetcher.answer = DOCUMENT
    assert await cache.get(KEY_ID, "192.0.2.77") == failure, "of the same network"
    assert reason(await cache.get(KEY_ID, "198.51.100.1")) == "ok"
    assert reason(await cache.get(KEY_ID, "192.0.2.1")) == "ok", "what is known now is known to all"
    assert len(fetcher.asked) == 2


async def test_few_networks_have_it_tried_anew(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.answer = GONE
    for number in range(100):
        assert await cache.get(KEY_ID, f"10.0.{number}.1") == GONE
    assert len(fetcher.asked) == 4


class Names:
    """Every name leads to this address."""

    async def resolve(self, host: str) -> list[dict[str, object]]:
        return [{"host": "203.0.113.5"}]

    async def close(self) -> None: ...


async def test_a_host_that_asks_for_itself_is_heard_once_more(
    clock: ManualClock, metrics: Metrics, fetcher: Fetcher
) -> None:
    cache = KeyCache(clock, fetcher, metrics, origins=Origins(clock, Names()))
    fetcher.answer = GONE
    for number in range(9):
        await cache.get(KEY_ID, f"10.0.{number}.1")
    assert await cache.get(KEY_ID, "203.0.113.5") == GONE
    assert await cache.get(KEY_ID, "203.0.113.5") == GONE
    assert len(fetcher.asked) == 5
    clock.advance(600_000)
    for number in range(9):
        await cache.get(KEY_ID, f"10.0.{number}.1")
    fetcher.answer = DOCUMENT
    assert reason(await cache.get(KEY_ID, "203.0.113.5")) == "ok"


async def test_who_waited_for_anothers_failure_has_it_tried_once_more(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.answer = DOWN
    fetcher.gate.clear()
    first = asyncio.create_task(cache.get(KEY_ID, "192.0.2.1"))
    await everybody_waits()
    rest = [asyncio.create_task(cache.get(KEY_ID, f"198.51.100.{number}")) for number in range(9)]
    await everybody_waits()
    fetcher.answer = DOCUMENT
    fetcher.gate.set()
    assert [reason(outcome) for outcome in await asyncio.gather(first, *rest)] == ["key_unavailable"] + ["ok"] * 9
    assert len(fetcher.asked) == 2


async def test_91_a_hundred_requests_cost_one_fetch(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.gate.clear()
    tasks = [asyncio.create_task(cache.get(KEY_ID)) for _ in range(100)]
    await everybody_waits()
    fetcher.gate.set()
    keys = await asyncio.gather(*tasks)
    assert len(fetcher.asked) == 1
    assert all(key is keys[0] for key in keys)
    assert reason(keys[0]) == "ok"


async def test_whoever_fetches_may_be_cancelled(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.gate.clear()
    first, *rest = [asyncio.create_task(cache.get(KEY_ID)) for _ in range(5)]
    await everybody_waits()
    first.cancel()
    rest.pop().cancel()
    await everybody_waits()
    assert len(fetcher.asked) == 2
    fetcher.gate.set()
    assert [reason(key) for key in await asyncio.gather(*rest)] == ["ok"] * 3
    assert len(fetcher.asked) == 2


async def test_a_bug_in_the_fetcher_reaches_only_its_caller(cache: KeyCache, fetcher: Fetcher) -> None:
    def bug(url: str) -> ActorDocument:
        raise ZeroDivisionError

    fetcher.answer = bug
    with pytest.raises(ZeroDivisionError):
        await cache.get(KEY_ID)
    fetcher.answer = DOCUMENT
    assert reason(await cache.get(KEY_ID)) == "ok"


async def test_90_one_host_gets_so_many_fetches_a_minute(cache: KeyCache, fetcher: Fetcher, clock: ManualClock) -> None:
    fetcher.answer = GONE
    outcomes = [await cache.get(f"https://peer.example/u/{number}") for number in range(1000)]
    assert len(fetcher.asked) == 30
    assert [reason(outcome) for outcome in outcomes] == ["actor_gone"] * 30 + ["too_many_fetches"] * 970
    last = outcomes[-1]
    assert isinstance(last, Refused)
    assert (last.status, last.retry_after_s) == (429, 60)
    fetcher.answer = DOWN
    assert reason(await cache.get("https://other.example/u/1")) == "key_unavailable"
    clock.advance(60_000)
    assert reason(await cache.get("https://peer.example/u/999")) == "key_unavailable"


async def test_so_many_fetches_at_once(clock: ManualClock, metrics: Metrics, fetcher: Fetcher) -> None:
    cache = KeyCache(clock, fetcher, metrics, KeyPolicy(max_in_flight=2, patience_ms=0))
    fetcher.gate.clear()
    tasks = [asyncio.create_task(cache.get(f"https://peer{number}.example/a")) for number in range(2)]
    await everybody_waits()
    refusal = await cache.get("https://peer3.example/a")
    assert isinstance(refusal, Refused)
    assert (refusal.reason, refusal.status) == ("too_many_fetches", 503)
    fetcher.gate.set()
    await asyncio.gather(*tasks)


async def test_who_finds_no_place_free_waits_for_one(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.gate.clear()
    tasks = [asyncio.create_task(cache.get(f"https://peer{number}.example/a")) for number in range(130)]
    await everybody_waits()
    assert len(fetcher.asked) == 64
    fetcher.answer = GONE
    fetcher.gate.set()
    outcomes = [reason(outcome) for outcome in await asyncio.gather(*tasks)]
    assert "too_many_fetches" not in outcomes
    assert len(fetcher.asked) == 130


async def test_one_host_and_one_address_have_a_share_of_the_places(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.gate.clear()
    of_host = [asyncio.create_task(cache.get(f"https://peer.example/{number}")) for number in range(20)]
    of_address = [
        asyncio.create_task(cache.get(f"https://peer{number}.example/a", "192.0.2.1")) for number in range(40)
    ]
    await everybody_waits()
    assert len(fetcher.asked) == 4 + 32
    other = asyncio.create_task(cache.get("https://other.example/a", "198.51.100.2"))
    await everybody_waits()
    assert fetcher.asked[-1] == "https://other.example/a"
    fetcher.gate.set()
    await asyncio.gather(*of_host, *of_address, other)


async def test_who_gives_up_waiting_leaves_the_line(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.gate.clear()
    tasks = [asyncio.create_task(cache.get(f"https://peer.example/{number}")) for number in range(6)]
    await everybody_waits()
    tasks[4].cancel()
    await everybody_waits()
    fetcher.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(fetcher.asked) == [f"https://peer.example/{number}" for number in (0, 1, 2, 3, 5)]


async def test_what_came_while_waiting_is_not_fetched_again(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.gate.clear()
    tasks = [asyncio.create_task(cache.get(f"https://peer.example/{number}")) for number in range(4)]
    await everybody_waits()
    tasks += [asyncio.create_task(cache.get(KEY_ID)) for _ in range(10)]
    await everybody_waits()
    fetcher.gate.set()
    keys = await asyncio.gather(*tasks)
    assert [reason(key) for key in keys[4:]] == ["ok"] * 10
    assert fetcher.asked.count(ACTOR) == 1


async def junk(cache: KeyCache, address: str | None = None) -> list[str]:
    return [reason(await cache.get(f"https://peer.example/u/{number}", address)) for number in range(40)]


async def test_junk_of_one_address_leaves_most_of_a_host_to_others(
    cache: KeyCache, fetcher: Fetcher, metrics: Metrics
) -> None:
    fetcher.answer = lambda url: DOCUMENT if url == ACTOR else GONE
    assert (await junk(cache, "2001:db8::1")).count("actor_gone") == 10
    assert b'fediviews_key_fetches_turned_away_total{bound="address"} 30.0' in metrics.render()
    assert reason(await cache.get(KEY_ID, "2001:db8::2")) == "too_many_fetches"
    assert reason(await cache.get(KEY_ID, "2001:db8:1::1")) == "ok"


async def test_fetches_that_prove_something_are_not_held_against_an_address(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.answer = lambda url: msgspec.structs.replace(DOCUMENT, id=url, public_key_id=url)
    for number in range(20):
        by = signed(params=f'keyId="https://peer.example/{number}",{{headers}},{{signature}}')
        assert isinstance(await cache.verify(by, "192.0.2.1"), Verified)
    assert len(fetcher.asked) == 20


async def test_junk_leaves_the_reserve_to_those_we_know(clock: ManualClock, metrics: Metrics, fetcher: Fetcher) -> None:
    cache = KeyCache(clock, fetcher, metrics, is_known=lambda actor: actor == ACTOR)
    fetcher.answer = lambda url: DOCUMENT if url == ACTOR else GONE
    assert (await junk(cache)).count("too_many_fetches") == 10
    assert reason(await cache.get("https://peer.example/accounts/other")) == "too_many_fetches"
    assert reason(await cache.get(KEY_ID)) == "ok"


async def test_who_signed_something_before_is_known(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.answer = lambda url: DOCUMENT if url == ACTOR else GONE
    assert isinstance(await cache.verify(signed()), Verified)
    await junk(cache)
    await cache.forget(KEY_ID)
    assert isinstance(await cache.verify(signed()), Verified)


async def test_strangers_that_hang_leave_the_reserve_to_those_we_know(
    clock: ManualClock, metrics: Metrics, fetcher: Fetcher
) -> None:
    policy = KeyPolicy(max_in_flight=2, patience_ms=0)
    cache = KeyCache(clock, fetcher, metrics, policy, is_known=lambda actor: actor == ACTOR)
    fetcher.gate.clear()
    tasks = [asyncio.create_task(cache.get(f"https://peer{number}.example/a")) for number in range(2)]
    await everybody_waits()
    tasks.append(asyncio.create_task(cache.get(KEY_ID)))
    await everybody_waits()
    assert fetcher.asked[-1] == ACTOR
    fetcher.gate.set()
    await asyncio.gather(*tasks)


async def test_memory_is_bounded(clock: ManualClock, metrics: Metrics, fetcher: Fetcher) -> None:
    policy = KeyPolicy(max_keys=3, max_negative=3, fetches_per_minute=1000)
    cache = KeyCache(clock, fetcher, metrics, policy)
    fetcher.answer = lambda url: msgspec.structs.replace(DOCUMENT, id=url, public_key_id=url)
    for number in range(4):
        await cache.get(f"https://peer.example/{number}")
        await cache.get("https://peer.example/0")
    assert len(cache) == 3
    assert fetcher.asked == [f"https://peer.example/{number}" for number in range(4)]
    await cache.get("https://peer.example/1")  # the one least recently used is gone
    assert len(fetcher.asked) == 5
    fetcher.answer = GONE
    for number in range(10, 14):
        await cache.get(f"https://peer.example/{number}")
    await cache.get("https://peer.example/10")
    assert len(fetcher.asked) == 10
    assert b"fediviews_keys_cached 3.0" in metrics.render()
    assert b'fediviews_key_fetches_total{outcome="actor_gone"} 5.0' in metrics.render()


@pytest.mark.parametrize(
    ("key_id", "expected"),
    [
        ("ftp://peer.example/a", "bad_key_id"),
        ("file:///etc/passwd", "bad_key_id"),
        ("data:text/plain,x", "bad_key_id"),
        ("javascript:alert(1)", "bad_key_id"),
        ("acct:alice@peer.example", "bad_key_id"),
        ("", "bad_key_id"),
        ("#main-key", "bad_key_id"),
        ("https://", "bad_key_id"),
        ("https://peer.example/" + "a" * 3000, "bad_key_id"),
        ("https://peer.example/a\r\nX: y", "bad_key_id"),
        ("http://peer.example/a", "bad_key_id"),
        ("https://alice@peer.example/a", "bad_key_id"),
        ("https://2130706433/a", "bad_key_id"),
        ("https://0x7f.1/a", "bad_key_id"),
        ("https://tube.example/accounts/peertube#main-key", "own_key"),
        ("https://TUBE.example.:443/accounts/peertube", "own_key"),
    ],
)
async def test_69_to_74_and_94_what_is_never_fetched(
    cache: KeyCache, fetcher: Fetcher, key_id: str, expected: str
) -> None:
    refusal = await cache.get(key_id)
    assert isinstance(refusal, Refused)
    assert (refusal.reason, refusal.status) == (expected, 401)
    assert fetcher.asked == []


async def test_http_is_for_loopback(clock: ManualClock, metrics: Metrics, fetcher: Fetcher) -> None:
    cache = KeyCache(clock, fetcher, metrics, KeyPolicy(allow_http=True))
    await cache.get("http://127.0.0.1:9001/a")
    assert fetcher.asked == ["http://127.0.0.1:9001/a"]


async def test_policy_is_asked_before_any_fetch(clock: ManualClock, metrics: Metrics, fetcher: Fetcher) -> None:
    blocked = Refused("blocked", status=403)
    cache = KeyCache(clock, fetcher, metrics, may_fetch=lambda host: blocked if host == "peer.example:8443" else None)
    assert await cache.get("https://PEER.example:8443/a") == blocked
    assert fetcher.asked == []
    assert reason(await cache.get(KEY_ID)) == "ok"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"public_key_id": "https://peer.example/accounts/other#main-key"}, "key_owner"),
        ({"id": "https://other.example/accounts/peertube"}, "key_owner"),
        ({"public_key_pem": KeyPair.of(rsa_key(1024)).public_pem}, "weak_key"),
        ({"public_key_pem": "x"}, "bad_key"),
        ({"public_key_pem": "-----BEGIN RSA PRIVATE KEY-----"}, "private_key"),
    ],
    ids=["82 key of another id", "83 owner elsewhere", "86 short", "87 garbage", "88 private"],
)
async def test_documents_that_give_no_key(
    cache: KeyCache, fetcher: Fetcher, change: dict[str, str], expected: str
) -> None:
    fetcher.answer = msgspec.structs.replace(DOCUMENT, **change)
    assert reason(await cache.get(KEY_ID)) == expected
    assert reason(await cache.get(KEY_ID)) == expected
    assert len(fetcher.asked) == 1


# --- rotation


async def test_92_a_rotated_key_is_found_by_one_more_fetch(
    cache: KeyCache, fetcher: Fetcher, clock: ManualClock
) -> None:
    assert isinstance(await cache.verify(signed()), Verified)
    fetcher.answer = ROTATED
    assert isinstance(await cache.verify(signed(key=rsa_key(number=1))), Verified)
    assert len(fetcher.asked) == 2
    for _ in range(10):
        assert reason(await cache.verify(signed(key=rsa_key(number=2)))) == "wrong_signature"
    assert len(fetcher.asked) == 2
    clock.advance(300_000)
    assert reason(await cache.verify(signed(key=rsa_key(number=2)))) == "wrong_signature"
    assert len(fetcher.asked) == 3
    assert isinstance(await cache.verify(signed(key=rsa_key(number=1))), Verified)


async def test_a_rotation_is_found_although_a_stranger_asked_just_before(
    cache: KeyCache, fetcher: Fetcher, clock: ManualClock
) -> None:
    assert isinstance(await cache.verify(signed(), "192.0.2.1"), Verified)
    assert reason(await cache.verify(signed(key=rsa_key(number=2)), "192.0.2.9")) == "wrong_signature"
    fetcher.answer = ROTATED
    assert reason(await cache.verify(signed(key=rsa_key(number=1)), "192.0.2.1")) == "wrong_signature"
    clock.advance(10_000)
    assert reason(await cache.verify(signed(key=rsa_key(number=2)), "192.0.2.9")) == "wrong_signature"
    assert len(fetcher.asked) == 2
    assert isinstance(await cache.verify(signed(key=rsa_key(number=1)), "192.0.2.1"), Verified)
    assert len(fetcher.asked) == 3


async def test_who_comes_while_a_key_is_fetched_again_waits_for_it(cache: KeyCache, fetcher: Fetcher) -> None:
    await cache.get(KEY_ID)
    fetcher.answer = ROTATED
    fetcher.gate.clear()
    tasks = [asyncio.create_task(cache.verify(signed(key=rsa_key(number=1)))) for _ in range(5)]
    await everybody_waits()
    fetcher.gate.set()
    assert all(isinstance(verdict, Verified) for verdict in await asyncio.gather(*tasks))
    assert len(fetcher.asked) == 2


async def test_a_failed_refetch_keeps_the_key(cache: KeyCache, fetcher: Fetcher) -> None:
    await cache.get(KEY_ID)
    fetcher.answer = DOWN
    assert reason(await cache.verify(signed(key=rsa_key(number=1)))) == "wrong_signature"
    assert isinstance(await cache.verify(signed()), Verified)
    assert len(fetcher.asked) == 2


@pytest.mark.parametrize(
    "said",
    [
        GONE,
        refuse(SignatureReason.BAD_ACTOR, "the actor has no public key, or several"),
        msgspec.structs.replace(DOCUMENT, public_key_id=f"{ACTOR}/another"),
        msgspec.structs.replace(DOCUMENT, public_key_pem="x"),
        ROTATED,
    ],
    ids=["gone", "no key", "a key of another id", "garbage", "another key"],
)
async def test_what_the_host_says_now_replaces_what_it_said(
    cache: KeyCache, fetcher: Fetcher, said: ActorDocument | Refused
) -> None:
    assert isinstance(await cache.verify(signed()), Verified)
    fetcher.answer = said
    assert reason(await cache.verify(signed(key=rsa_key(number=2)), "192.0.2.9")) == "wrong_signature"
    assert isinstance(await cache.verify(signed()), Refused)
    assert isinstance(await cache.verify(signed(), "198.51.100.1"), Refused)


async def test_only_a_wrong_signature_asks_again(cache: KeyCache, fetcher: Fetcher) -> None:
    await cache.get(KEY_ID)
    params = '{key_id},algorithm="hmac-sha256",{headers},{signature}'
    assert reason(await cache.verify(signed(params=params))) == "algorithm"
    assert len(fetcher.asked) == 1


async def test_no_key_no_verdict(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.answer = GONE
    assert reason(await cache.verify(signed())) == "actor_gone"


async def test_refetch_of_an_unknown_key_is_a_fetch(cache: KeyCache, fetcher: Fetcher) -> None:
    assert reason(await cache.refetch(KEY_ID)) == "ok"
    assert len(fetcher.asked) == 1


async def test_a_forgotten_key_is_fetched_again(cache: KeyCache, fetcher: Fetcher) -> None:
    await cache.get(KEY_ID)
    await cache.forget(KEY_ID)
    assert len(cache) == 0
    await cache.get(KEY_ID)
    assert len(fetcher.asked) == 2


ED25519_ID = f"{ACTOR}#ed25519-key"


def with_multikey(key_id: str = ED25519_ID, text: str | None = None) -> ActorDocument:
    multibase = encode_multikey(ed25519_key().public_key()) if text is None else text
    return msgspec.structs.replace(DOCUMENT, multikeys=((key_id, multibase),))


def by_ed25519(key_id: str = ED25519_ID) -> Inspected:
    params = f'keyId="{key_id}",algorithm="ed25519",{{headers}},{{signature}}'
    return signed(params=params, key=ed25519_key())


async def test_a_multikey_of_the_actor_is_believed_under_its_own_id(cache: KeyCache, fetcher: Fetcher) -> None:
    fetcher.answer = with_multikey()
    verdict = await cache.verify(by_ed25519())
    assert isinstance(verdict, Verified)
    assert (verdict.actor, verdict.key_id) == (ACTOR, ED25519_ID)
    assert isinstance(await cache.verify(signed()), Verified)
    assert reason(await cache.verify(by_ed25519(KEY_ID))) == "algorithm"
    assert len(fetcher.asked) == 1


@pytest.mark.parametrize("document", [with_multikey(text="z6Mk"), with_multikey(f"{ACTOR}/key#ed25519-key"), DOCUMENT])
async def test_a_multikey_that_cannot_be_used_is_as_none(
    document: ActorDocument, cache: KeyCache, fetcher: Fetcher
) -> None:
    fetcher.answer = document
    assert reason(await cache.verify(by_ed25519())) == "algorithm"
    assert isinstance(await cache.verify(signed()), Verified)


async def test_a_multikey_that_appears_later_is_found(cache: KeyCache, fetcher: Fetcher) -> None:
    assert isinstance(await cache.verify(signed()), Verified)
    fetcher.answer = with_multikey()
    assert isinstance(await cache.verify(by_ed25519()), Verified)
    assert len(fetcher.asked) == 2
