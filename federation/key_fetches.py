"""Who may make us fetch a key just now. Strangers share what there is; acquaintances have a reserve of their own.

Anybody can name any key, and nothing is proven before it was fetched: what is spent on a host's keys must not be what
the peers we know there need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from federation.key_policy import KeyPolicy
from federation.places import Places
from federation.signatures.reasons import SignatureReason
from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.ratelimit import WindowCounter, WindowLimiter

_MAX_HOSTS = 10_000
_MINUTE_MS = 60_000
_RETRY_AFTER_S = 5

Place = AbstractContextManager[None]
"""To be entered, and left when the fetch is over."""


class KeyFetches:
    """The bounds of :class:`KeyPolicy`.

    Of one host, ``fetches_per_minute`` for strangers and as many again for acquaintances; of those for strangers one
    client address (IPv6: /64) gets a third, what leads to a verified signature aside. At once, ``max_in_flight``:
    ``max_in_flight_of_host`` from one host and ``max_in_flight_for_address`` for one client address; acquaintances have
    ``max_reserved`` more. Who finds no place free waits for ``patience_ms``.
    """

    def __init__(self, clock: Clock, metrics: Metrics, policy: KeyPolicy) -> None:
        self._wasted_limit = policy.wasted_per_minute
        self._strangers = Places(
            policy.max_in_flight, (policy.max_in_flight_of_host, policy.max_in_flight_for_address), policy.patience_ms
        )
        self._reserve = Places(policy.max_reserved, (policy.max_reserved_of_host,), policy.patience_ms)
        self._of_strangers: WindowLimiter[str] = WindowLimiter(clock, policy.fetches_per_minute, _MINUTE_MS, _MAX_HOSTS)
        self._of_known: WindowLimiter[str] = WindowLimiter(clock, policy.fetches_per_minute, _MINUTE_MS, _MAX_HOSTS)
        self._wasted: WindowCounter[tuple[str, str]] = WindowCounter(clock, _MINUTE_MS, _MAX_HOSTS)
        turned_away = metrics.counter(
            "fediviews_key_fetches_turned_away_total", "Keys that were not fetched because of a bound.", ["bound"]
        )
        self._turned_away = {bound: turned_away.labels(bound) for bound in ("at_once", "address", "host")}

    async def place(self, host: str, address: str | None, *, known: bool) -> Place | Refused:
        """A place for one fetch from ``host`` for a client at ``address`` (None: nobody's), or ``too_many_fetches``:
        503 when none came free. Enter it at once: it is given back when it is left."""
        network = None if known or not address else network_key(address)
        if known and self._reserve.take(host):
            return _held(lambda: self._reserve.leave(host))
        if await self._strangers.wait(host, network):
            return _held(lambda: self._strangers.leave(host, network))
        return self._refused("at_once", "too many keys are being fetched", 503, _RETRY_AFTER_S)

    def charge(self, host: str, address: str | None, *, known: bool) -> Refused | None:
        """Count a fetch that is about to be made; 429 when it must not be."""
        if known:
            if self._of_known.hit(host) is None:
                return None
        elif address:
            blamed = (host, network_key(address))
            if self._wasted.seen(blamed) >= self._wasted_limit:
                return self._refused("address", "too many unknown keys of this host from your address", 429, 60)
            self._wasted.see(blamed)
        wait_s = self._of_strangers.hit(host)
        if wait_s is not None:
            return self._refused("host", "too many unknown keys of this host", 429, wait_s)
        return None

    def was_worth_it(self, host: str, address: str | None) -> None:
        """A fetch for this address led to a verified signature: it is not held against it."""
        if address:
            self._wasted.forgive((host, network_key(address)))

    def _refused(self, bound: str, detail: str, status: int, retry_after_s: int) -> Refused:
        self._turned_away[bound].inc()
        return Refused(SignatureReason.TOO_MANY_FETCHES, detail, status, retry_after_s)


@contextmanager
def _held(leave: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        leave()
