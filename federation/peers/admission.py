"""Who may follow us when there are as many as may be: a small party's newcomer before a large one's latest."""

from __future__ import annotations

from collections import Counter

from federation.peers.follows import Follows
from federation.peers.model import Direction, FollowRecord
from federation.peers.parties import Parties
from foundation.errors import Refused
from foundation.sites import provider_of, site_of

_TOO_MANY = Refused("too_many_followers", "this instance takes no more followers of this host", 429)

DISPLACED_AT_ONCE = 10
"""Where there are far more than may be (the bound was lowered) they go little by little: each is told."""


class Admission:
    """``most`` actors in all, ``most_of_host`` of one host, and of a party so many times that as it is hosts.

    Where all places are taken, the party with the most loses its latest to a party that has fewer, and to whoever was
    named here; nobody who was named loses any.
    """

    def __init__(self, follows: Follows, parties: Parties, *, most: int, most_of_host: int) -> None:
        self._follows = follows
        self._parties = parties
        self._most = most
        self._most_of_host = most_of_host
        self._held: Counter[str] | None = None

    def forget(self) -> None:
        """Follows or names have changed."""
        self._held = None

    def refusal(self, host: str) -> Refused | None:
        """``too_many_followers`` when there is no place for one more of this host."""
        most = self._most_of_host
        if self._follows.followers_of(host) >= most:
            return _TOO_MANY
        owners = (site_of(host), provider_of(host))
        for circle, owner in zip(self._parties.circles(host), owners, strict=False):
            if self._follows.followers_among(owner) >= most * circle.hosts:
                return _TOO_MANY
        if self._follows.follower_count() < self._most:
            return None
        return _TOO_MANY if self._larger_than(host) is None else None

    def displaced_by(self, host: str, actor: str, object_: str) -> list[FollowRecord]:
        """Whose places a new follower takes, of one that :meth:`refusal` lets in; mostly nobody's."""
        above = self._follows.follower_count() + 1 - self._most
        if above <= 0 or self._follows.is_follower(actor, object_):
            return []
        largest = self._larger_than(host)
        records = [one for one in self._follows.records(Direction.IN) if self._parties.of(one.host) == largest]
        of_site = Counter(site_of(record.host) for record in records)
        of_host = Counter(record.host for record in records)
        records.sort(key=lambda one: (of_site[site_of(one.host)], of_host[one.host], one.id), reverse=True)
        return records[: min(above, DISPLACED_AT_ONCE)]

    def _larger_than(self, host: str) -> str | None:
        """The largest party, if this host's would still be smaller with one more."""
        if self._held is None:
            self._held = Counter()
            for known, count in self._follows.hosts_in():
                party = self._parties.of(known)
                if party != known:
                    self._held[party] += count
        if not self._held:
            return None
        largest = max(self._held, key=self._held.__getitem__)
        own = self._held[self._parties.of(host)]
        return largest if own + 1 < self._held[largest] or not self._parties.circles(host) else None
