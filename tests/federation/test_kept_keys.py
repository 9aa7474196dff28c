"""Keys of peers outlive the process, and are believed no longer than they would have been without that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from handmade import ACTOR, KEY_ID, NOW_MS, PROFILE, make, rsa_key
from sqlalchemy import select

from federation.actors import ActorDocument
from federation.kept_keys import KeptKeys
from federation.keys import KeyCache, KeyPair, KeyPolicy, RemoteKey
from federation.multikey import encode_multikey
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.verifier import Inspected, Verified, inspect
from federation.tables import remote_keys
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics

EVERY_DATABASE = True

TTL_MS = KeyPolicy().ttl_ms
ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
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
    multikeys=((f"{ACTOR}#ed25519", encode_multikey(ED25519.public_key())),),
)
ROTATED = msgspec.structs.replace(DOCUMENT, public_key_pem=KeyPair.of(rsa_key(number=1)).public_pem)
GONE = refuse(SignatureReason.ACTOR_GONE)
DOWN = Refused(SignatureReason.KEY_UNAVAILABLE, "timeout", 503, 10)


class Process:
    """One run of the service, as far as keys go."""

    def __init__(self, database: Database, clock: ManualClock, answer: ActorDocument | Refused, **options: Any) -> None:
        self.asked: list[str] = []
        self.answer = answer
        limit, shared = options.pop("limit", 100), options.pop("shared", False)
        metrics, acquainted = Metrics(), options.pop("acquainted", frozenset)
        self.kept = KeptKeys(
            database, clock, metrics, limit=limit, max_age_ms=2 * TTL_MS, shared=shared, acquainted=acquainted
        )
        self.cache = KeyCache(clock, self, metrics, kept=self.kept, **options)

    async def fetch_key_owner(self, url: str, onward: Callable[[str], None]) -> ActorDocument | Refused:
        self.asked.append(url)
        return self.answer

    async def says(self, **how: Any) -> str:
        inspected = inspect(make(**how), PROFILE, NOW_MS)
        assert isinstance(inspected, Inspected)
        verdict = await self.cache.verify(inspected)
        return "ok" if isinstance(verdict, Verified) else str(verdict.reason)


Start = Callable[..., Any]


@pytest.fixture
def start(database: Database, clock: ManualClock) -> Start:
    async def begin(answer: ActorDocument | Refused = DOWN, **options: Any) -> Process:
        process = Process(database, clock, answer, **options)
        await process.kept.load()
        return process

    return begin


async def kept(database: Database) -> int:
    async with database.read() as tx:
        rows = await tx.execute(select(remote_keys.c.digest).where(remote_keys.c.document != ""))
        return len(rows.all())


async def test_a_known_peer_needs_nobody_to_be_asked_after_a_restart(start: Start, clock: ManualClock) -> None:
    first = await start(DOCUMENT)
    assert await first.says() == "ok"
    before = await first.cache.get(KEY_ID)
    await first.kept.save()
    clock.advance(3_600_000)
    second = await start()
    after = await second.cache.get(KEY_ID)
    assert isinstance(before, RemoteKey)
    assert after == before, "every part of it, and its age"
    assert await second.says() == "ok"
    assert second.asked == []


async def test_what_signed_nothing_is_not_kept(start: Start, database: Database) -> None:
    first = await start(DOCUMENT)
    assert await first.says(key=rsa_key(number=2)) == "wrong_signature"
    await first.kept.save()
    assert await kept(database) == 0
    assert await (await start()).says() == "key_unavailable"


async def test_its_time_goes_on_while_nobody_runs(start: Start, clock: ManualClock) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    clock.advance(TTL_MS - 1)
    second = await start(ROTATED)
    assert (await second.says(), second.asked) == ("ok", [])
    clock.advance(1)
    await second.cache.get(KEY_ID)
    assert second.asked == [ACTOR], "it is as old as it is, not as old as the process"


async def test_past_its_time_it_serves_only_while_its_host_cannot_be_asked(start: Start, clock: ManualClock) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    clock.advance(TTL_MS)
    assert isinstance(await (await start(DOWN)).cache.get(KEY_ID), RemoteKey)
    rotated = await (await start(ROTATED)).cache.get(KEY_ID)
    assert isinstance(rotated, RemoteKey)
    assert rotated.public_key == rsa_key(number=1).public_key()
    clock.advance(TTL_MS)
    assert await (await start(DOWN)).cache.get(KEY_ID) == DOWN


async def test_a_key_rotated_while_nobody_ran_is_seen_at_its_first_signature(start: Start) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    second = await start(ROTATED)
    assert await second.says(key=rsa_key(number=1)) == "ok"
    assert second.asked == [ACTOR]
    await second.kept.save()
    third = await start()
    assert await third.says(key=rsa_key(number=1)) == "ok"
    assert await third.says() == "wrong_signature", "the one before is no more"


async def test_what_was_replaced_does_not_come_back(start: Start, clock: ManualClock) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    first.answer = ROTATED
    await first.cache.refetch(KEY_ID)
    await first.kept.save()
    assert await (await start()).says() == "wrong_signature"


async def test_who_is_gone_is_forgotten(start: Start, database: Database, clock: ManualClock) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    clock.advance(TTL_MS)
    first.answer = GONE
    await first.cache.get(KEY_ID)
    await first.kept.save()
    assert await kept(database) == 0


async def test_who_is_found_gone_before_its_time_does_not_come_back(start: Start, database: Database) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    first.answer = GONE
    assert await first.says(key=rsa_key(number=2)) == "wrong_signature"
    await first.kept.save()
    assert await kept(database) == 0
    assert await first.says() == "actor_gone"
    assert await (await start(GONE)).says() == "actor_gone"


async def test_who_deletes_itself_is_forgotten_at_once(start: Start, database: Database) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.cache.forget(ACTOR)
    await first.kept.save()
    assert await kept(database) == 0
    second = await start(DOCUMENT)
    await second.says()
    await second.kept.save()
    await second.cache.forget(KEY_ID)
    assert await kept(database) == 0
    assert ACTOR not in second.kept


async def test_a_key_too_weak_for_the_rules_of_now_is_not_believed(start: Start) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    second = await start(DOWN, policy=KeyPolicy(minimum_key_bits=4096))
    assert await second.says() == "key_unavailable"
    third = await start(DOWN, policy=KeyPolicy(own_authorities=frozenset({"peer.example"})))
    assert await third.says() == "own_key"


async def test_a_clock_that_went_back_makes_no_key_younger(start: Start, clock: ManualClock) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    clock.set_wall(clock.now_ms() - 1)
    assert await (await start(DOWN)).says() == "key_unavailable"


async def test_other_processes_learn_of_it(start: Start) -> None:
    first, second = await start(DOCUMENT, shared=True), await start(shared=True)
    await first.says()
    await first.kept.save()
    await second.kept.save()
    assert (await second.says(), second.asked) == ("ok", [])
    await first.cache.forget(KEY_ID)
    third = await start(shared=True)
    assert await third.says() == "key_unavailable"


async def test_a_key_found_gone_is_not_read_again_before_it_is_deleted(start: Start, clock: ManualClock) -> None:
    first = await start(DOCUMENT)
    await first.says()
    await first.kept.save()
    first.answer = GONE
    await first.says(key=rsa_key(number=2))
    assert await first.says() == "actor_gone"


@pytest.mark.parametrize("told", [True, False], ids=["told", "news lost"])
@pytest.mark.parametrize("how", ["deleted", "found gone", "replaced"])
async def test_what_one_process_learns_of_a_key_all_do(
    start: Start, clock: ManualClock, database: Database, how: str, told: bool
) -> None:
    first, second = await start(DOCUMENT, shared=True), await start(DOCUMENT, shared=True)
    if told:
        first.cache.moved_here(second.cache.moved_elsewhere)
    assert await second.says(key=rsa_key(number=2)) == "wrong_signature"
    assert (await first.says(), await kept(database)) == ("ok", 0)
    await first.kept.save()
    await second.kept.save()
    clock.advance(1_000)
    first.answer = second.answer = ROTATED if how == "replaced" else GONE
    if how == "deleted":
        await first.cache.forget(ACTOR)
    else:
        assert await first.says(key=rsa_key(number=2)) == "wrong_signature"
    if not told:
        await first.kept.save()
        await second.kept.save()
    assert await second.says() == ("wrong_signature" if how == "replaced" else "actor_gone")
    await first.kept.save()
    await second.kept.save()
    assert await kept(database) == (1 if how == "replaced" else 0)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_late_process_does_not_bring_an_old_key_back(
    start: Start, clock: ManualClock, database: Database, how: str
) -> None:
    first, late = await start(DOCUMENT, shared=True), await start(DOCUMENT, shared=True)
    await first.says()
    await first.kept.save()
    await late.cache.get(KEY_ID)
    clock.advance(1_000)
    if how == "deleted":
        await first.cache.forget(ACTOR)
    else:
        first.answer = ROTATED
        assert await first.says(key=rsa_key(number=1)) == "ok"
        await first.kept.save()
    assert await late.says() == "ok", "it heard of nothing yet"
    await late.kept.save()
    assert await (await start(ROTATED, shared=True)).says() == "wrong_signature"
    late.answer = ROTATED
    assert await late.says() == "wrong_signature"
    clock.advance(1_000)
    back = await start(DOCUMENT, shared=True)
    assert await back.says(**({"key": rsa_key(number=1)} if how == "replaced" else {})) == "ok"
    await back.kept.save()
    assert await kept(database) == 1, "who is there again is kept again"


async def test_marks_of_what_is_gone_are_bounded(start: Start, clock: ManualClock, database: Database) -> None:
    process = await start(shared=True, limit=5)
    for number in range(20):
        name, _ = key_of(f"site{number}.example", number, clock)
        await process.cache.forget(name)
        clock.advance(1)
    async with database.read() as tx:
        assert len((await tx.execute(select(remote_keys.c.digest))).all()) <= 6


async def test_while_the_database_is_gone_keys_are_asked_for(
    start: Start, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await start(DOCUMENT)
    await first.says()

    async def gone(*_: object, **__: object) -> None:
        raise StorageUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(database, "write", gone)
        with pytest.raises(StorageUnavailable):
            await first.kept.save()
    await first.kept.save()
    second = await start(DOCUMENT)
    with monkeypatch.context() as patched:

        def no_reading() -> None:
            raise StorageUnavailable("gone")

        patched.setattr(database, "read", no_reading)
        assert await second.says() == "ok"
    assert second.asked == [ACTOR]


def key_of(host: str, number: int, clock: ManualClock) -> tuple[str, RemoteKey]:
    actor = f"https://{host}/accounts/{number}"
    return actor, RemoteKey(f"{actor}#main-key", actor, host, rsa_key().public_key(), fetched_ms=clock.now_ms())


async def test_there_are_never_more_than_the_limit_and_no_site_fills_it(
    start: Start, database: Database, clock: ManualClock
) -> None:
    process = await start(limit=40)
    honest, key = key_of("honest.example", 0, clock)
    process.kept.keep(honest, key)
    await process.kept.save()
    for number in range(60):
        process.kept.keep(*key_of(f"h{number % 7}.evil.example", number, clock))
        await process.kept.save()
    assert await kept(database) == 3
    followed, key = key_of("h8.evil.example", 1_000, clock)
    process.kept.keep(followed, key, known=True)
    for number in range(60):
        process.kept.keep(*key_of(f"site{number}.example", number, clock))
        await process.kept.save()
        assert await kept(database) <= 40
    again = await start(limit=40)
    assert again.kept.__contains__(key_of("site59.example", 59, clock)[0])
    assert honest not in again.kept, "the one that spoke longest ago goes first"


async def test_strangers_that_speak_once_push_out_strangers(
    start: Start, database: Database, clock: ManualClock
) -> None:
    follower, key = key_of("follower.example", 0, clock)
    regular, other = key_of("regular.example", 0, clock)
    process = await start(limit=20, acquainted=lambda: frozenset({follower}))
    process.kept.keep(follower, key, known=True)
    process.kept.keep(regular, other)
    await process.kept.save()
    for number in range(50):
        process.kept.keep(*key_of(f"site{number}.example", number, clock))
        process.kept.spoke(regular, other)
        await process.kept.save()
        assert await kept(database) <= 20
    assert follower in process.kept, "although it said nothing"
    assert regular in process.kept, "it speaks all the time"
    for number in range(50, 75):
        process.kept.keep(*key_of(f"site{number}.example", number, clock))
    await process.kept.save()
    assert (follower in process.kept, await kept(database)) == (True, 20), "however many come at once"
    process.kept.spoke(regular, other)
    await process.kept.save()
    await process.kept.save()
    clock.advance(3_600_000)
    process.kept.spoke(regular, other)
    await process.kept.save()
    again = await start(limit=20)
    for number in range(100, 110):
        again.kept.keep(*key_of(f"site{number}.example", number, clock))
        await again.kept.save()
    assert regular in again.kept, "the order outlives the process"


async def test_who_was_pushed_out_is_kept_again_when_it_speaks(start: Start, clock: ManualClock) -> None:
    process = await start(DOCUMENT, limit=20)
    await process.says()
    await process.kept.save()
    for number in range(20):
        process.kept.keep(*key_of(f"site{number}.example", number, clock))
        await process.kept.save()
    assert ACTOR not in process.kept
    assert await process.says() == "ok"
    await process.kept.save()
    assert ACTOR in process.kept


async def test_what_nobody_would_believe_any_more_is_deleted(
    start: Start, database: Database, clock: ManualClock
) -> None:
    process = await start(DOCUMENT)
    await process.says()
    await process.kept.save()
    clock.advance(2 * TTL_MS)
    await process.kept.purge()
    assert await kept(database) == 1
    clock.advance(1)
    await process.kept.purge()
    assert await kept(database) == 0
    assert await process.kept.read(ACTOR) is None
    assert ACTOR not in process.kept
