"""Which hosts are judged together: names below one domain cost its owner nothing, so many of them are no crowd."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from federation.peers.model import PeerLimits
from foundation.sites import REMEMBERED, provider_of, site_of

SITE = "*."
"""What the party of a whole site begins with; no host begins so."""
PROVIDER = "**."
"""What that of all customers of one provider begins with."""


class Circle(NamedTuple):
    """Hosts that together are believed as much as ``hosts`` of them: within ``limits``."""

    name: str
    hosts: int
    limits: PeerLimits


class Parties:
    """A host that somebody here named (the configuration, a follow of ours, an administrator's "allow") is a party of
    its own. All other hosts of a site are one, which is believed as much as ``hosts_per_site`` of them by ``usual``;
    and all sites of one provider, whose names cost nothing either, as much as ``hosts_per_provider``.
    """

    def __init__(
        self, named: Callable[[str], bool], usual: PeerLimits, hosts_per_site: int, hosts_per_provider: int = 16
    ) -> None:
        self._named = named
        self.hosts_per_site = hosts_per_site
        self.hosts_per_provider = max(hosts_per_site, hosts_per_provider)
        self.limits = _times(usual, hosts_per_site)
        """Of a whole site."""
        self.provider_limits = _times(usual, self.hosts_per_provider)
        """Of all sites of a provider."""
        self._around = lru_cache(maxsize=REMEMBERED)(self._circles_around)

    def of(self, host: str) -> str:
        """The largest party that the host is part of; maybe itself."""
        circles = self.circles(host)
        return circles[-1].name if circles else host

    def circles(self, host: str) -> tuple[Circle, ...]:
        """Those the host stands in, the smallest first; none for one that stands for itself."""
        return () if self._named(host) else self._around(host)

    def believed(self, viewers: dict[str, int]) -> dict[str, int]:
        """Of one video's viewers by host, each within its own quota: those that are within their parties' quotas, too.

        A party that is above it loses what its largest members have beyond the others.
        """
        if len(viewers) <= self.hosts_per_site or sum(viewers.values()) <= self.limits.viewers_per_video:
            return viewers
        believed = dict(viewers)
        sites: dict[str, list[str]] = {}
        providers: dict[str, list[str]] = {}
        for host in sorted(viewers):
            circles = self.circles(host)
            if circles:
                known = sites.setdefault(circles[0].name, [])
                if not known and len(circles) > 1:
                    providers.setdefault(circles[1].name, []).append(circles[0].name)
                known.append(host)
        for hosts in sites.values():
            believed |= _shared(self.limits.viewers_per_video, ((host, believed[host]) for host in hosts))
        for members in providers.values():
            sums = [(site, sum(believed[host] for host in sites[site])) for site in members]
            for site, most in _shared(self.provider_limits.viewers_per_video, sums).items():
                believed |= _shared(most, ((host, believed[host]) for host in sites[site]))
        return believed

    def _circles_around(self, host: str) -> tuple[Circle, ...]:
        site, provider = site_of(host), provider_of(host)
        own = Circle(SITE + site, self.hosts_per_site, self.limits)
        if provider == site:
            return (own,)
        return own, Circle(PROVIDER + provider, self.hosts_per_provider, self.provider_limits)


def _times(usual: PeerLimits, hosts: int) -> PeerLimits:
    return PeerLimits(
        usual.viewers_per_video * hosts,
        usual.new_viewers_per_minute * hosts,
        usual.videos * hosts,
        usual.views_per_hour * hosts,
    )


def _shared(most: int, counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """As much of each as fits into ``most``; the smallest lose last."""
    ordered = sorted((count, name) for name, count in counts)
    shares = {}
    for place, (count, name) in enumerate(ordered):
        shares[name] = share = min(count, most // (len(ordered) - place))
        most -= share
    return shares
