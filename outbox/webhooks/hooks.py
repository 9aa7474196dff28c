"""One configured receiver of webhooks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HOUR_MS = 3_600_000
SOFT_SHARE = 0.75
"""How much of a queue events may fill that say where things stand; the rest is for those that happen once."""

SOFT = frozenset({"viewer_joined", "viewer_left", "viewer_aborted", "viewers_peak", "total_received"})
"""Events of which there are many, and of which a later one makes up for a lost one."""

TEST_EVENT = "test"
"""What an administrator's test is called; it stands in no queue."""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where to, signed how, about what.

    ``previous_secret`` is what was used before ``secret``, for a receiver that does not know the new one yet.
    ``include`` None: every event that ``exclude`` does not name. ``max_waiting`` bounds how many events wait for it,
    ``max_age_ms`` how long.
    """

    url: str
    key: str
    secret: str = field(repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    include: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    allow_private_addresses: bool = False
    max_waiting: int = 20_000
    max_age_ms: int = 24 * HOUR_MS

    @property
    def id(self) -> str:
        """The same for as long as URL and key are: its queue outlives restarts and changes of the rest."""
        return hashlib.sha256(f"{self.key}\n{self.url}".encode()).hexdigest()[:16]

    @property
    def shown(self) -> str:
        """The URL as people may see it: a query may hold a password."""
        url = urlsplit(self.url)
        return f"{url.scheme}://{url.netloc}{url.path}"

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def wants(self, event: str) -> bool:
        return event not in self.exclude if self.include is None else event in self.include

    def has_room(self, event: str, waiting: int) -> bool:
        """Whether an event still goes into its queue when so many wait."""
        return waiting < (self.max_waiting * SOFT_SHARE if event in SOFT else self.max_waiting)
