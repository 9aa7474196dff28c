"""What the other processes of this machine know of peers, put into what this one knows.

A peer is delivered to by one of them, which alone knows how that goes at this moment.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from outbox.waiting import available
from service.workers.siblings import Siblings

Peer = dict[str, Any]
Listed = Callable[[], Awaitable[list[Peer]]]

_PATH = "/peers"
_OF_DELIVERY = ("trouble", "breaker", "failures", "failureDays", "delivery")


class PeersElsewhere:
    """``siblings`` None: there is this process alone. ``serves``: whether this process delivers to a host."""

    def __init__(self, siblings: Siblings | None, serves: Callable[[str], bool]) -> None:
        self._siblings = siblings
        self._serves = serves

    def answer_with(self, own: Listed) -> None:
        """``own``, as REST lists peers, is what the others are told; to be called before they ask."""
        if self._siblings is None:
            return

        async def told(_: web.Request) -> web.Response:
            return web.json_response([peer | {"serves": self._serves(peer["host"])} for peer in await own()])

        self._siblings.inner.router.add_get(_PATH, available(told))

    async def added(self, own: list[Peer]) -> list[Peer]:
        """By host. Another process that does not answer is left out."""
        if self._siblings is None:
            return own
        found = {peer["host"]: peer for peer in own}
        for answer in await self._siblings.ask_others("GET", _PATH):
            for peer in msgspec.json.decode(answer, type=list[Peer]):
                serves = peer.pop("serves")
                known = found.setdefault(peer["host"], peer)
                if known is not peer:
                    _add(known, peer, serves=serves)
        return [found[host] for host in sorted(found)]


def _add(known: Peer, other: Peer, *, serves: bool) -> None:
    # Instants of ISO 8601 in UTC are ordered as texts.
    known["lastSeen"] = max(known["lastSeen"] or "", other["lastSeen"] or "") or None
    if known["software"] is None:
        known["software"], known["kind"] = other["software"], other["kind"]
    if serves:
        known.update({name: other[name] for name in _OF_DELIVERY})
