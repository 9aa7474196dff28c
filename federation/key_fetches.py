"""Who may make us fetch a key just now. Strangers share what there is; acquaintances have a reserve of their own.

Anybody can name any key, and nothing is proven before it was fetched: what is spent on a host's keys must not be what
the peers we know there need, nor what its own first message needs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from federation.key_policy import KeyPolicy
from federation.origins import Origins
from federation.places import Places
from federation.signatures.reasons import SignatureReason
from foundation.addresses import neighbourhood_key
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.metrics import Metrics
from foundation.ratelimit import WindowCounter, WindowLimiter
from foundation.sites import provider_of, site_of

_MAX_HOSTS = 10_000
_MINUTE_MS = 60_000
_RETRY_AFTER_S = 5
_PART_OF_DIRECT = 3
"""A host's own machine has this part of its fetches to itself."""

_NETWORK = 1
"""Which group of a stranger's place its network is."""

Place = AbstractContextManager[None]
"""To be entered, and left when the fetch is over."""


@dataclass(frozen=True, slots=True)
class _Spent:
    bound: str
    detail: str
    wait_s: int


class KeyFetches:
    """The bounds of :class:`KeyPolicy`.

    A *network* is a client's /24 (IPv6: /48). Of one host, ``fetches_per_minute`` for strangers and as many again for
    acquaintances; of a whole site, for strangers ``hosts_per_site`` times that, of all sites of a provider
    ``hosts_per_provider`` times. For one network a third of what one host has goes to a site, what leads to a verified
    signature aside. A redirect to another host is charged to that one, as strangers'.

    At once, ``max_in_flight``: ``max_in_flight_of_site`` from one site, ``max_in_flight_of_provider`` from
    the sites of one provider, ``max_in_flight_for_network`` for one network.
    A site that left us waiting has one until it answers, a network that named two of them as many as a site.
    Acquaintances have ``max_reserved`` more.

    Where that is used up, two are let in all the same. *Direct*: who asks from an address that the key's own host leads
    to has a third of the host's fetches, and ``max_direct`` places. *Newcomers*: a network that wasted nothing on this
    site lately has one of as many fetches of it as strangers have of a host; and one of ``max_newcomers`` places, where
    it has no other and named nobody who left us waiting.

    Whoever finds no place waits for ``patience_ms``; who has the fewest comes first.
    """

    def __init__(self, clock: Clock, metrics: Metrics, policy: KeyPolicy, origins: Origins | None = None) -> None:
        self._clock = clock
        self._policy = policy
        self._origins = origins
        few, per_minute = policy.max_in_flight_of_site, policy.fetches_per_minute
        self._strangers = Places(
            policy.max_in_flight,
            (few, policy.max_in_flight_for_network, 1, few, policy.max_in_flight_of_provider),
            policy.patience_ms,
        )
        self._reserve = Places(policy.max_reserved, (policy.max_reserved_of_host,), policy.patience_ms)
        self._direct = Places(policy.max_direct, (2, few, 1), policy.patience_ms)
        self._newcomers = Places(policy.max_newcomers, (1, 1, 1), policy.patience_ms)
        self._of_strangers: WindowLimiter[str] = WindowLimiter(clock, per_minute, _MINUTE_MS, _MAX_HOSTS)
        self._of_sites: WindowLimiter[str] = WindowLimiter(
            clock, per_minute * policy.hosts_per_site, _MINUTE_MS, _MAX_HOSTS
        )
        self._of_providers: WindowLimiter[str] = WindowLimiter(
            clock, per_minute * max(policy.hosts_per_site, policy.hosts_per_provider), _MINUTE_MS, _MAX_HOSTS
        )
        self._of_known: WindowLimiter[str] = WindowLimiter(clock, per_minute, _MINUTE_MS, _MAX_HOSTS)
        self._of_direct: WindowLimiter[str] = WindowLimiter(
            clock, max(1, per_minute // _PART_OF_DIRECT), _MINUTE_MS, _MAX_HOSTS
        )
        self._of_newcomers: WindowLimiter[str] = WindowLimiter(clock, per_minute, _MINUTE_MS, _MAX_HOSTS)
        self._wasted: WindowCounter[tuple[str, str]] = WindowCounter(clock, _MINUTE_MS, _MAX_HOSTS)
        self._wasted_lately: WindowCounter[tuple[str, str]] = WindowCounter(
            clock, policy.remembered_ms, 10 * _MAX_HOSTS
        )
        self._kept_waiting: WindowCounter[str] = WindowCounter(clock, policy.remembered_ms, _MAX_HOSTS)
        self._hanging: OrderedDict[str, int] = OrderedDict()
        turned_away = metrics.counter(
            "fediviews_key_fetches_turned_away_total", "Keys that were not fetched because of a bound.", ["bound"]
        )
        self._turned_away = {bound: turned_away.labels(bound) for bound in ("at_once", "address", "host")}

    async def is_direct(self, host: str, address: str | None) -> bool:
        """Whether the client asks from where the key's host is; looked up only where something is used up."""
        if self._origins is None or not address:
            return False
        network, site = neighbourhood_key(address), site_of(host)
        if self._spent(host, site, network) is None and self._strangers.has_room(*self._groups(site, network)):
            return False
        return await self._origins.is_at(host, address)

    async def is_home(self, host: str, address: str | None) -> bool:
        """Whether the client asks from where the key's host is, as far as can be said quickly."""
        return self._origins is not None and bool(address) and await self._origins.is_at(host, address or "")

    async def place(self, host: str, address: str | None, *, known: bool, direct: bool = False) -> Place | Refused:
        """A place for one fetch from ``host`` for a client at ``address`` (None: nobody's), or ``too_many_fetches``:
        503 when none came free. Enter it at once: it is given back when it is left."""
        site = site_of(host)
        network = None if known or not address else neighbourhood_key(address)
        if known and self._reserve.take(host):
            return _held(lambda: self._reserve.leave(host))
        groups = self._groups(site, network)
        if self._strangers.take(*groups):
            return _held(lambda: self._strangers.leave(*groups))
        _, _, hanging, slow, _ = groups
        if direct and self._direct.take(site, network, hanging):
            return _held(lambda: self._direct.leave(site, network, hanging))
        starved = network is not None and not self._strangers.held_by(_NETWORK, network)
        if starved and not slow and self._newcomers.take(site, network, hanging):
            return _held(lambda: self._newcomers.leave(site, network, hanging))
        if await self._strangers.wait(*groups):
            return _held(lambda: self._strangers.leave(*groups))
        self._turned_away["at_once"].inc()
        return _refusal("too many keys are being fetched", 503, _RETRY_AFTER_S)

    def charge(self, host: str, address: str | None, *, known: bool, direct: bool = False) -> Refused | None:
        """Count a fetch that is about to be made; 429 when it must not be."""
        site, asking = site_of(host), neighbourhood_key(address) if address else None
        # Whoever wastes fetches in the names of those we know has no more of them than a stranger.
        trusted = known and (asking is None or self._wasted.seen((site, asking)) < self._policy.wasted_per_minute)
        if trusted and self._of_known.hit(host) is None:
            self._blame(site, asking)
            return None
        network = None if trusted else asking
        spent = self._spent(host, site, network)
        if spent is None:
            self._of_strangers.hit(host)
            self._of_sites.hit(site)
            self._of_providers.hit(provider_of(host))
        elif not (direct and self._of_direct.hit(host) is None) and not self._is_newcomer(site, network):
            self._turned_away[spent.bound].inc()
            return _refusal(spent.detail, 429, spent.wait_s)
        self._blame(site, asking)
        return None

    def _blame(self, site: str, network: str | None) -> None:
        """Until the fetch turns out to be worth it."""
        if network is not None:
            self._wasted.see((site, network))
            self._wasted_lately.see((site, network))

    def charge_hop(self, host: str) -> Refused | None:
        """Count that a fetch was sent on to another host, which nobody named; 429 when it must not be asked."""
        site = site_of(host)
        spent = self._spent(host, site, None)
        if spent is not None:
            self._turned_away[spent.bound].inc()
            return _refusal(spent.detail, 429, spent.wait_s)
        self._of_strangers.hit(host)
        self._of_sites.hit(site)
        self._of_providers.hit(provider_of(host))
        return None

    def was_worth_it(self, host: str, address: str | None) -> None:
        """A fetch for this address led to a verified signature: it is not held against it."""
        if address:
            blamed = site_of(host), neighbourhood_key(address)
            self._wasted.forgive(blamed)
            self._wasted_lately.forgive(blamed)

    def took(self, host: str, address: str | None, duration_ms: int, *, answered: bool) -> None:
        """How a fetch went."""
        site = site_of(host)
        if answered or duration_ms < self._policy.hanging_ms:
            self._hanging.pop(site, None)
            return
        self._hanging[site] = self._clock.monotonic_ms() + self._policy.remembered_ms
        self._hanging.move_to_end(site)
        if len(self._hanging) > _MAX_HOSTS:
            self._hanging.popitem(last=False)
        if address:
            self._kept_waiting.see(neighbourhood_key(address))

    def _groups(self, site: str, network: str | None) -> tuple[str | None, ...]:
        hanging = site if self._hanging.get(site, 0) > self._clock.monotonic_ms() else None
        slow = network if network is not None and self._kept_waiting.seen(network) > 1 else None
        provider = provider_of(site)
        return site, network, hanging, slow, provider if provider != site else None

    def _is_newcomer(self, site: str, network: str | None) -> bool:
        if network is None or self._wasted_lately.seen((site, network)):
            return False
        return self._of_newcomers.hit(site) is None

    def _spent(self, host: str, site: str, network: str | None) -> _Spent | None:
        """What strangers have used up, if anything."""
        if network is not None and self._wasted.seen((site, network)) >= self._policy.wasted_per_minute:
            return _Spent("address", "too many unknown keys of this host from your network", _MINUTE_MS // 1000)
        wait_s = (
            self._of_strangers.peek(host) or self._of_sites.peek(site) or self._of_providers.peek(provider_of(host))
        )
        return None if wait_s is None else _Spent("host", "too many unknown keys of this host", wait_s)


def _refusal(detail: str, status: int, retry_after_s: int) -> Refused:
    return Refused(SignatureReason.TOO_MANY_FETCHES, detail, status, retry_after_s)


@contextmanager
def _held(leave: Callable[[], None]) -> Iterator[None]:
    try:
        yield
    finally:
        leave()
