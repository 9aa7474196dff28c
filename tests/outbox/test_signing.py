from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import pytest
from house import KEYS, US

from federation.signatures.signer import Signer
from outbox.signing import AT_ONCE, SigningPool

NOW_MS = 1_800_000_000_000
INBOX = "https://peer.example/inbox"


@pytest.fixture
def signer() -> Signer:
    return Signer(f"{US}/accounts/peertube#main-key", KEYS.private_key)


async def test_each_gets_its_own_signature_however_many_wait(signer: Signer) -> None:
    pool = SigningPool(2)
    bodies = [b"body %d" % number for number in range(5 * AT_ONCE + 1)]
    try:
        signed = await asyncio.gather(*(pool.sign(signer, INBOX, body, NOW_MS) for body in bodies))
    finally:
        pool.close()
    assert signed == [signer.sign_headers("POST", INBOX, body, NOW_MS) for body in bodies]


async def test_what_cannot_be_signed_fails_alone(signer: Signer) -> None:
    pool = SigningPool(1)
    urls = [INBOX, "nonsense", INBOX, "ftp://peer.example/"]
    try:
        signed = await asyncio.gather(*(pool.sign(signer, url, b"", NOW_MS) for url in urls), return_exceptions=True)
    finally:
        pool.close()
    assert [type(one) for one in signed] == [dict, ValueError, dict, ValueError]


async def test_who_gives_up_holds_up_nobody() -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow:
        def sign_headers(self, method: str, url: str, body: bytes, now_ms: int) -> Mapping[str, str]:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            return {"Signature": url}

    pool = SigningPool(1)
    waiting = [asyncio.create_task(pool.sign(cast(Signer, Slow()), str(n), b"", NOW_MS)) for n in range(AT_ONCE + 3)]
    try:
        await begun.wait()
        for task in waiting[:2]:
            task.cancel()
        go_on.set()
        signed = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        go_on.set()
        pool.close()
    assert all(isinstance(one, asyncio.CancelledError) for one in signed[:2])
    assert signed[2:] == [{"Signature": str(n)} for n in range(2, AT_ONCE + 3)]
