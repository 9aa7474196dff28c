"""Signs off the event loop: an RSA signature costs a quarter of a millisecond, in which nobody else would be served.

Handing one signature to a thread and back costs a tenth of it. So whatever waits is handed over together, a few
signatures at a time: alone when there is little to do, in groups when there is much.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from federation.signing import RequestSigner

AT_ONCE = 4
"""Signatures in one go, a millisecond's work."""


@dataclass(frozen=True, slots=True)
class _Order:
    signer: RequestSigner
    url: str
    body: bytes
    now_ms: int
    signed: asyncio.Future[Mapping[str, str]]


class SigningPool:
    """``threads`` of them, started when they are first needed."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sign")
        self._idle = threads
        self._orders: deque[_Order] = deque()

    async def sign(self, signer: RequestSigner, url: str, body: bytes, now_ms: int) -> Mapping[str, str]:
        """The headers that sign a POST. Raises ValueError as `RequestSigner.sign_headers` does."""
        signed: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._orders.append(_Order(signer, url, body, now_ms, signed))
        if self._idle:
            self._begin()
        return await signed

    def close(self) -> None:
        """What waits is cancelled."""
        for order in self._orders:
            order.signed.cancel()
        self._orders.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self) -> None:
        orders = [self._orders.popleft() for _ in range(min(AT_ONCE, len(self._orders)))]
        self._idle -= 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, _sign_all, orders)
        work.add_done_callback(lambda done: self._ended(orders, done))

    def _ended(self, orders: Sequence[_Order], done: asyncio.Future[Sequence[Mapping[str, str] | Exception]]) -> None:
        self._idle += 1
        if done.cancelled():
            for order in orders:
                order.signed.cancel()
            return
        for order, signed in zip(orders, done.result(), strict=True):
            # Who waited may have given up.
            if order.signed.done():
                continue
            if isinstance(signed, Exception):
                order.signed.set_exception(signed)
            else:
                order.signed.set_result(signed)
        while self._idle and self._orders:
            self._begin()


def _sign_all(orders: Sequence[_Order]) -> Sequence[Mapping[str, str] | Exception]:
    return [_sign(order) for order in orders]


def _sign(order: _Order) -> Mapping[str, str] | Exception:
    try:
        return order.signer.sign_headers("POST", order.url, order.body, order.now_ms)
    except Exception as problem:
        return problem
