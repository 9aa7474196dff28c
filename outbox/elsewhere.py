"""Passes on what concerns a host that another process of the instance serves: its word, and an administrator's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from foundation.leases import Leases
from foundation.news import News

SPOKE, HURRY = "peer spoke", "hurry to peer"
"""Topics; the key is the host."""


class Ear(Protocol):
    """The part of `outbox.deliverer.Deliverer` that is needed here."""

    def spoke(self, host: str) -> None: ...

    def hurry(self, host: str) -> None: ...


class Elsewhere:
    """``troubled`` reads which hosts are in trouble, in whatever process. Raises StorageUnavailable."""

    def __init__(
        self, *, deliverer: Ear, leases: Leases, news: News, troubled: Callable[[], Awaitable[Iterable[str]]]
    ) -> None:
        self._deliverer = deliverer
        self._leases = leases
        self._news = news
        self._read = troubled
        self._troubled: set[str] = set()
        news.hear(SPOKE, self._heard_word)
        news.hear(HURRY, self._heard_hurry)

    async def look(self) -> None:
        """Which hosts others cannot reach; to be called every minute or so where there are others."""
        self._troubled = {host for host in await self._read() if not self._leases.holds(host)}

    def spoke(self, host: str) -> None:
        """Called for every signed message: one look-up, and news once per host and look."""
        if host in self._troubled:
            self._troubled.discard(host)
            self._news.tell(SPOKE, host)

    def hurry(self, host: str) -> None:
        if self._leases.holds(host):
            self._deliverer.hurry(host)
        else:
            self._news.tell(HURRY, host)

    async def _heard_word(self, host: str) -> None:
        if host and self._leases.holds(host):
            self._deliverer.spoke(host)

    async def _heard_hurry(self, host: str) -> None:
        if host and self._leases.holds(host):
            self._deliverer.hurry(host)
