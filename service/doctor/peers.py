"""A signed round trip to every configured peer: do they answer what we sign, and does their clock agree?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from federation.actors import ActorClient, HttpGetter
from federation.signatures.signer import Sign
from foundation.errors import FetchFailed, Refused
from foundation.http import HttpClient, Onward
from foundation.http_response import HttpResponse
from outbox.discovery import Discovery
from service.config import Peer
from service.doctor.model import Finding, Surroundings, failed, ok, warning

MAX_ASKED = 50
"""Peers of the configuration; the first of them."""

AT_ONCE = 8
NOTICED_MS = 5_000
"""A clock that is off by more is said; twice the whole second of a Date and a slow answer lie below."""

_PEER = "peer {}"


class _Noting:
    """Gets, and remembers the last answer and failure."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self.answer: HttpResponse | None = None
        self.failure: FetchFailed | None = None

    async def get(
        self,
        url: str,
        *,
        accept: str,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        max_bytes: int | None = None,
        onward: Onward | None = None,
    ) -> HttpResponse:
        try:
            answer = await self._http.get(
                url, accept=accept, headers=headers, sign=sign, max_bytes=max_bytes, onward=onward
            )
        except FetchFailed as failure:
            self.failure = failure
            raise
        self.answer = answer
        return answer


async def round_trips(around: Surroundings) -> Sequence[Finding]:
    actors = around.actors
    if actors is None:
        return []
    places = asyncio.Semaphore(AT_ONCE)

    async def bounded(peer: Peer) -> Finding:
        async with places:
            return await _round_trip(around, actors, peer)

    asked = [peer for peer in around.config.peers if not peer.block][:MAX_ASKED]
    return await asyncio.gather(*map(bounded, asked))


async def _round_trip(around: Surroundings, actors: Callable[[HttpGetter], ActorClient], peer: Peer) -> Finding:
    noting, check = _Noting(around.http), _PEER.format(peer.host)
    schemes = ("https", "http") if around.config.federation.allow_http else ("https",)
    target = await Discovery(noting, actors(noting), schemes).find(peer.host)
    answer = noting.answer
    if isinstance(target, Refused):
        if answer is None:
            return failed(check, f"does not answer: {noting.failure or target.detail}", "is the name right, is it up?")
        if answer.status in (401, 403):
            advice = "it does not take our signature: can it fetch our actor (check of the name), is its clock right?"
            return failed(check, f"answered {answer.status} to a signed request", advice)
        return failed(check, f"answered {answer.status}: {target.detail}", "is it an instance, and this its host?")
    says = f"answered a signed request for {target.actor.id}"
    date_ms = None if answer is None else answer.date_ms
    if answer is None or date_ms is None:
        return ok(check, says)
    # A Date is cut to its second: in the middle of it, on average.
    skew_ms = date_ms + 500 - answer.received_ms
    if abs(skew_ms) > around.config.federation.clock_skew_ms:
        return failed(check, f"{says}; clocks differ by {skew_ms / 1000:+.0f} s", "set both clocks (NTP)")
    if abs(skew_ms) > NOTICED_MS:
        advice = "set both clocks (NTP); such a difference is taken out until then"
        return warning(check, f"{says}; clocks differ by {skew_ms / 1000:+.0f} s", advice)
    return ok(check, f"{says}; clocks agree")


async def clock(around: Surroundings) -> Sequence[Finding]:
    """A year that cannot be ours is no clock at all."""
    now_ms = around.clock.now_ms()
    if now_ms < 1_735_689_600_000:
        return [failed("clock", "this machine believes that it is before 2025", "set its clock (NTP)")]
    return []
