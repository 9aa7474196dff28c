"""One signed POST to an inbox, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from federation.signing import RequestSigner
from federation.vocabulary import CONTENT_TYPE
from foundation.clock import Clock
from foundation.errors import FetchFailed
from foundation.http_response import HttpResponse
from foundation.metrics import Metrics
from outbox.retry import Meaning, meaning
from outbox.signing import SigningPool

ACCEPT = "application/activity+json, application/ld+json"


class HttpPoster(Protocol):
    """The part of `foundation.http.HttpClient` that is needed here. Raises FetchFailed."""

    async def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> HttpResponse: ...


class DateObserver(Protocol):
    """Learns a peer's clock (``date_ms``) from an answer that arrived at ``received_ms``; both Unix milliseconds."""

    def __call__(self, host: str, date_ms: int, received_ms: int) -> None: ...


class Delivery(Protocol):
    """As `federation.signing.Signing.send`: signs for ``actor`` as ``host`` takes it."""

    async def send(self, host: str, actor: str, attempt: Callable[[RequestSigner], Awaitable[Outcome]]) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a delivery. ``reason`` is a stable word; ``received_ms`` when the answer came, if one came."""

    meaning: Meaning
    reason: str
    status: int | None = None
    retry_after_s: int | None = None
    received_ms: int = 0

    @property
    def delivered(self) -> bool:
        return self.meaning is Meaning.DELIVERED


class Poster:
    """Signs in threads of its own and posts.

    ``signing`` chooses how, and tries another way when a peer refuses one. ``posted`` is told of every request and its
    size.
    """

    def __init__(
        self,
        *,
        http: HttpPoster,
        signing: Delivery,
        clock: Clock,
        metrics: Metrics,
        observe_date: DateObserver,
        threads: int = 2,
        posted: Callable[[str, int], None] = lambda _host, _size: None,
    ) -> None:
        self._http = http
        self._signing = signing
        self._clock = clock
        self._observe_date = observe_date
        self._posted = posted
        self._pool = SigningPool(threads)
        posts = metrics.counter("fediviews_deliveries_total", "Signed POSTs to peers by what came of them", ["outcome"])
        self._counts = {one: posts.labels(one.value) for one in Meaning}
        self._bytes = metrics.counter("fediviews_delivered_bytes_total", "Bytes of the bodies posted to peers")

    async def post(self, host: str, actor: str, url: str, body: bytes) -> Outcome:
        """Deliver a body to an inbox of ``host``, signed by our actor. Never raises for what the peer does."""
        outcome = await self._post(host, actor, url, body)
        self._counts[outcome.meaning].inc()
        return outcome

    async def _post(self, host: str, actor: str, url: str, body: bytes) -> Outcome:
        return await self._signing.send(host, actor, partial(self._attempt, host, url, body))

    async def _attempt(self, host: str, url: str, body: bytes, signer: RequestSigner) -> Outcome:
        try:
            signed = await self._pool.sign(signer, url, body, self._clock.now_ms())
        except ValueError:
            return Outcome(Meaning.REFUSED, "bad_inbox")
        self._posted(host, len(body))
        try:
            answer = await self._http.post(
                url, body, headers={**signed, "Content-Type": CONTENT_TYPE, "Accept": ACCEPT}
            )
        except FetchFailed as failure:
            # Without an answer nothing is known about the message; with one (a cut body, say) its status counts.
            return Outcome(meaning(failure.status), failure.reason, failure.status, failure.retry_after_s)
        self._bytes.inc(len(body))
        if answer.date_ms is not None:
            self._observe_date(host, answer.date_ms, answer.received_ms)
        return Outcome(
            meaning(answer.status), f"status_{answer.status}", answer.status, answer.retry_after_s, answer.received_ms
        )

    def close(self) -> None:
        self._pool.close()
