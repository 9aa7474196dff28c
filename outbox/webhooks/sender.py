"""One webhook, signed and posted, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from foundation.body_token import CONTENT_TYPE, vouch
from foundation.clock import Clock
from foundation.errors import FetchFailed
from foundation.http_response import HttpResponse
from outbox.retry import Meaning, meaning
from outbox.webhooks.bodies import test_event, with_dropped
from outbox.webhooks.hooks import Hook


class HttpPoster(Protocol):
    """The part of `foundation.http.HttpClient` that is needed here. Raises FetchFailed."""

    async def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> HttpResponse: ...


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one try: ``reason`` is a stable word, ``status`` the answer's."""

    meaning: Meaning
    reason: str
    status: int | None = None
    retry_after_s: int | None = None

    @property
    def delivered(self) -> bool:
        return self.meaning is Meaning.DELIVERED


class WebhookSender:
    """``public`` posts to public addresses only; ``private`` is for receivers that may be elsewhere.

    Every try is signed anew. While a receiver answers 401 or 403 and its hook has a previous secret, the same event is
    sent once more under that one: so a secret can be changed at both ends in any order, and nothing is lost. Which one
    was taken last is tried first.
    """

    def __init__(self, public: HttpPoster, private: HttpPoster, clock: Clock) -> None:
        self._public = public
        self._private = private
        self._clock = clock
        self._stale: set[str] = set()

    async def send(self, hook: Hook, body: bytes) -> Tried:
        """Post a whole body. Never raises for what the receiver does."""
        secrets = [hook.secret] if hook.previous_secret is None else [hook.secret, hook.previous_secret]
        if hook.id in self._stale:
            secrets.reverse()
        tried = await self._post(hook, body, secrets[0])
        if tried.meaning is Meaning.CLOSED and len(secrets) == 2:
            again = await self._post(hook, body, secrets[1])
            if again.delivered:
                (self._stale.add if secrets[1] is hook.previous_secret else self._stale.discard)(hook.id)
            tried = again if again.meaning is not Meaning.CLOSED else tried
        return tried

    async def test(self, hook: Hook) -> Tried:
        """Send a test event, past the queue."""
        return await self.send(hook, with_dropped(test_event(self._clock.now_ms()).body, 0))

    async def _post(self, hook: Hook, body: bytes, secret: str) -> Tried:
        token = vouch(body, hook.key, secret, self._clock.now_ms())
        http = self._private if hook.allow_private_addresses else self._public
        try:
            answer = await http.post(hook.url, body, headers={"Authorization": token, "Content-Type": CONTENT_TYPE})
        except FetchFailed as failure:
            return Tried(meaning(failure.status), failure.reason, failure.status, failure.retry_after_s)
        return Tried(meaning(answer.status), f"status_{answer.status}", answer.status, answer.retry_after_s)
