"""What deliveries to each host came to: when one arrived, what went wrong last, how much was sent. Bounded."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from foundation.clock import Clock
from outbox.traffic import Traffic

MAX_HOSTS = 20_000


@dataclass(slots=True)
class Account:
    """``arrived_ms`` and ``error_ms`` are Unix milliseconds; ``error`` is a stable word and outlives the trouble."""

    traffic: Traffic = field(default_factory=Traffic)
    arrived_ms: int | None = None
    error: str = ""
    error_ms: int | None = None


class Ledger:
    """Accounts by host, the most recently written ones of at most ``max_hosts``. ``changed`` collects whose account
    was written since somebody emptied it."""

    def __init__(self, clock: Clock, max_hosts: int = MAX_HOSTS) -> None:
        self._clock = clock
        self._max_hosts = max_hosts
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self.changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._accounts)

    def hosts(self) -> list[str]:
        return list(self._accounts)

    def get(self, host: str) -> Account | None:
        return self._accounts.get(host)

    def open(self, host: str) -> Account:
        """The host's account, about to be written."""
        account = self._accounts.get(host)
        if account is None:
            account = self._accounts[host] = Account()
            if len(self._accounts) > self._max_hosts:
                oldest, _ = self._accounts.popitem(last=False)
                self.changed.discard(oldest)
        self._accounts.move_to_end(host)
        self.changed.add(host)
        return account

    def posted(self, host: str, size: int) -> None:
        """A signed request went there, with a body of ``size`` bytes."""
        self.open(host).traffic.note(size, self._clock.monotonic_ms())

    def arrived(self, host: str) -> None:
        """The host took what was sent to it."""
        self.open(host).arrived_ms = self._clock.now_ms()

    def failed(self, host: str, reason: str) -> None:
        """A round with the host ended in trouble."""
        account = self.open(host)
        account.error, account.error_ms = reason[:64], self._clock.now_ms()

    def hour(self, host: str) -> tuple[int, int]:
        """Requests and bytes sent there in the last hour."""
        account = self._accounts.get(host)
        return (0, 0) if account is None else account.traffic.hour(self._clock.monotonic_ms())
