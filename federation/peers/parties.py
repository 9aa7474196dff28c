"""Which hosts are judged together: names below one domain cost its owner nothing, so many of them are no crowd."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from federation.peers.model import PeerLimits
from foundation.sites import site_of

SITE = "*."
"""What the party of a whole site begins with; no host begins so."""


class Parties:
    """A host that somebody here named (the configuration, a follow of ours, an administrator's "allow") is a party of
    its own. All other hosts of a site are one, which is believed as much as ``hosts_per_site`` of them by ``usual``.
    """

    def __init__(self, named: Callable[[str], bool], usual: PeerLimits, hosts_per_site: int) -> None:
        self._named = named
        self.hosts_per_site = hosts_per_site
        self.limits = PeerLimits(
            usual.viewers_per_video * hosts_per_site,
            usual.new_viewers_per_minute * hosts_per_site,
            usual.videos * hosts_per_site,
            usual.views_per_hour * hosts_per_site,
        )
        """Of a whole site."""

    def of(self, host: str) -> str:
        """The host itself, or its site."""
        return host if self._named(host) else SITE + site_of(host)

    def believed(self, viewers: dict[str, int]) -> dict[str, int]:
        """Of one video's viewers by host, each within its own quota: those that are within their party's quota, too.

        A party that is above it loses what its largest hosts have beyond the others.
        """
        most = self.limits.viewers_per_video
        if len(viewers) <= self.hosts_per_site or sum(viewers.values()) <= most:
            return viewers
        by_party = sorted((self.of(host), count, host) for host, count in viewers.items())
        believed = {}
        for party, members in groupby(by_party, key=lambda member: member[0]):
            hosts = [(host, count) for _, count, host in members]
            left = most if party.startswith(SITE) else sum(count for _, count in hosts)
            for place, (host, count) in enumerate(hosts):
                share = min(count, left // (len(hosts) - place))
                believed[host] = share
                left -= share
        return believed
