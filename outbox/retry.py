"""When to try again, and what an answer means. Pure."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass


class Meaning(enum.Enum):
    """What the answer to a delivery says about the message and about the peer."""

    DELIVERED = "delivered"
    LATER = "later"
    """The peer cannot now (no answer, 408, 425, 429, 5xx): the same message again, later, nothing else before it."""

    CLOSED = "closed"
    """The peer does not let us in (401, 403): again, later, and seldom; our key may be unknown there for a while."""

    GONE = "gone"
    """The inbox does not exist (404, 410): look the inbox up anew; when that does not help, give the message up."""

    REFUSED = "refused"
    """The peer understood and does not want this message (other 4xx, a redirect): others behind it may pass."""


_LATER = frozenset({408, 425, 429})
_AWAY = frozenset({502, 503, 504})


def meaning(status: int | None) -> Meaning:
    """What an HTTP status says; None stands for no answer at all."""
    if status is None or status >= 500 or status in _LATER:
        return Meaning.LATER
    if 200 <= status < 300:
        return Meaning.DELIVERED
    if status in (401, 403):
        return Meaning.CLOSED
    if status in (404, 410):
        return Meaning.GONE
    return Meaning.REFUSED


def may_be_poison(status: int | None) -> bool:
    """Whether a server's error may be this message's own doing: 500 and its like, not a busy or absent server's."""
    return status is not None and status >= 500 and status not in _AWAY


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff with jitter.

    The n-th wait is ``first_ms`` doubled n-1 times, at most ``max_ms``, less a random part of up to ``jitter`` of it.
    ``give_up_ms`` is the age at which a durable message is dropped, ``poison_after`` the number of refusals after
    which a single message is set aside, and of server errors after which others pass the first in the row.
    """

    first_ms: int = 2_000
    max_ms: int = 3_600_000
    give_up_ms: int = 3 * 86_400_000
    poison_after: int = 5
    jitter: float = 0.5

    def wait_ms(self, failures: int, random: Callable[[], float], retry_after_s: int | None = None) -> int:
        """How long to wait after so many failures in a row (1 is the first), in milliseconds.

        ``random`` gives numbers in [0, 1). A ``Retry-After`` is honoured as a minimum, up to ``max_ms``.
        """
        grown = min(self.first_ms << min(max(failures, 1) - 1, 40), self.max_ms)
        wait = grown - int(grown * self.jitter * random())
        if retry_after_s is not None:
            wait = max(wait, min(retry_after_s * 1000, self.max_ms))
        return wait

    def too_old(self, created_ms: int, now_ms: int) -> bool:
        """Whether a durable message of this age is given up."""
        return now_ms - created_ms >= self.give_up_ms
