"""What was learnt of hosts, in bounded memory: software, clock, when last heard of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

from federation.peers.clock_offset import ClockOffset
from federation.peers.model import Software
from federation.peers.signing import Found, Way
from federation.peers.store import PeerRow

_TRIES = 16


class _Known:
    __slots__ = ("clock", "last_seen_ms", "nodeinfo_checked_ms", "signing", "silent_since_ms", "software")

    def __init__(self, clock: ClockOffset) -> None:
        self.clock = clock
        self.software: Software | None = None
        self.nodeinfo_checked_ms: int | None = None
        self.silent_since_ms: int | None = None
        self.last_seen_ms: int | None = None
        self.signing: Found | None = None


class KnownPeers:
    """At most ``limit`` hosts, the least recently heard of going first; ``keep`` says who should rather stay."""

    def __init__(self, limit: int, max_skew_ms: int, *, keep: Callable[[str], bool]) -> None:
        self.limit = limit
        self._max_skew_ms = max_skew_ms
        self._keep = keep
        self._hosts: OrderedDict[str, _Known] = OrderedDict()
        self._dirty: set[str] = set()

    def load(self, rows: Iterable[PeerRow]) -> None:
        """Rows most recently heard of first, as the store gives them."""
        for row in reversed(list(rows)[: self.limit]):
            known = _Known(ClockOffset(row.clock_offset_ms, max_skew_ms=self._max_skew_ms))
            known.software = row.software
            # Whoever did not say what it runs is asked again after a restart.
            known.nodeinfo_checked_ms = None if row.software is None else row.nodeinfo_checked_ms
            known.last_seen_ms = row.last_seen_ms
            known.signing = row.signing
            self._hosts[row.host] = known

    def take_over(self, rows: Iterable[PeerRow]) -> None:
        """What other processes kept: the later word of what a host runs, and of when it was heard of."""
        for row in rows:
            known = self._hosts.get(row.host) or self._new(row.host)
            later = (row.nodeinfo_checked_ms or 0) > (known.nodeinfo_checked_ms or 0)
            if row.software is not None and (known.software is None or later):
                known.software, known.nodeinfo_checked_ms = row.software, row.nodeinfo_checked_ms
                known.silent_since_ms = None
            known.last_seen_ms = max(known.last_seen_ms or 0, row.last_seen_ms or 0) or None

    def hosts(self) -> Iterator[str]:
        return iter(self._hosts)

    def software(self, host: str) -> Software | None:
        known = self._hosts.get(host)
        return None if known is None else known.software

    def nodeinfo_checked_ms(self, host: str) -> int | None:
        known = self._hosts.get(host)
        return None if known is None else known.nodeinfo_checked_ms

    def silent_since_ms(self, host: str) -> int | None:
        """When a host whose software is unknown was first asked in vain, in this run of the service."""
        known = self._hosts.get(host)
        return None if known is None else known.silent_since_ms

    def last_seen_ms(self, host: str) -> int | None:
        known = self._hosts.get(host)
        return None if known is None else known.last_seen_ms

    def clock_offset_ms(self, host: str) -> int:
        known = self._hosts.get(host)
        return 0 if known is None else known.clock.offset_ms

    def signing(self, host: str) -> Found | None:
        """What knocking taught about how the host wants our requests signed."""
        known = self._hosts.get(host)
        return None if known is None else known.signing

    def learn_signing(self, host: str, found: Found) -> None:
        self._touch(host).signing = found

    def learn_software(self, host: str, software: Software | None, now_ms: int) -> None:
        """What its NodeInfo said; None keeps what was known and notes that it was asked."""
        known = self._touch(host)
        known.nodeinfo_checked_ms = now_ms
        if software is not None:
            known.software = software
            known.silent_since_ms = None
            known.last_seen_ms = now_ms
        elif known.software is None and known.silent_since_ms is None:
            known.silent_since_ms = now_ms

    def observe_date(self, host: str, date_ms: int, received_ms: int) -> None:
        known = self._touch(host)
        known.clock.saw_date(date_ms, received_ms)
        known.last_seen_ms = received_ms

    def observe_signed(self, host: str, signed_ms: int, received_ms: int) -> None:
        known = self._touch(host)
        known.clock.saw_signed(signed_ms, received_ms)
        known.last_seen_ms = received_ms

    def take_dirty(self) -> list[PeerRow]:
        """The rows that moved since the last call."""
        hosts, self._dirty = self._dirty, set()
        return [
            PeerRow(
                host,
                known.software,
                known.nodeinfo_checked_ms,
                known.clock.offset_ms,
                known.last_seen_ms,
                # The other ways are found again within an hour.
                signing=known.signing if known.signing is not None and known.signing.way is Way.RFC9421 else None,
            )
            for host in sorted(hosts)
            if (known := self._hosts.get(host)) is not None
        ]

    def _touch(self, host: str) -> _Known:
        self._dirty.add(host)
        known = self._hosts.get(host)
        if known is None:
            return self._new(host)
        self._hosts.move_to_end(host)
        return known

    def _new(self, host: str) -> _Known:
        while len(self._hosts) >= self.limit:
            self._evict()
        known = self._hosts[host] = _Known(ClockOffset(max_skew_ms=self._max_skew_ms))
        return known

    def _evict(self) -> None:
        """The oldest one nobody wants kept; when the oldest few are all wanted, the oldest, for a bound is a bound."""
        for host in list(self._first(_TRIES)):
            if not self._keep(host):
                break
        else:
            host = next(iter(self._hosts))
        del self._hosts[host]
        self._dirty.discard(host)

    def _first(self, count: int) -> Iterator[str]:
        for place, host in enumerate(self._hosts):
            if place == count:
                return
            yield host
