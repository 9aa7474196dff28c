"""Who is blocked and who may speak after all: decided by the configuration, by administrators, by other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from federation.peers import store
from federation.peers.model import PeerPolicy
from federation.peers.policies import ALLOWED, BLOCKED, Policies
from federation.ports import PeerEvents
from foundation.database import Database
from foundation.errors import Refused

_CONFIG_ALLOWS = Refused("config_decides", "the configuration says block: false for this host: change it there", 409)
_CONFIG_BLOCKS = Refused("config_decides", "the configuration blocks this host: change it there", 409)
_OURS = Refused("bad_host", "this is our own host", 400)


class Verdicts:
    """Changes ``policies``; ``changed`` is called after every change, ``moved`` after one that other processes have to
    read."""

    def __init__(self, policies: Policies, database: Database, events: PeerEvents) -> None:
        self._policies = policies
        self._database = database
        self._events = events
        self.changed: Callable[[], None] = lambda: None
        self.moved: Callable[[], None] = lambda: None

    def reload(self, policies: Iterable[PeerPolicy], *, open_federation: bool) -> None:
        """Take a changed configuration; hosts it blocks now are told as ``peer_blocked``."""
        before = self._policies.blocked_hosts()
        self._policies.reload(policies, open_federation=open_federation)
        self.changed()
        for host in sorted(self._policies.blocked_hosts() - before):
            self._events.peer_blocked(host)

    def contradicts(self, host: str, *, block: bool) -> Refused | None:
        """``config_decides`` (409) where the configuration says the contrary, ``bad_host`` (400) for our own host."""
        if self._policies.is_own(host):
            return _OURS
        decided = self._policies.decided(host)
        if decided is None or decided is block:
            return None
        return _CONFIG_BLOCKS if decided else _CONFIG_ALLOWS

    async def block(self, host: str) -> Refused | None:
        """Block at run time, for good. ``config_decides`` (409) where the configuration says the contrary."""
        refusal = self.contradicts(host, block=True)
        if refusal is not None:
            return refusal
        was_blocked = self._policies.is_blocked(host)
        await self._judge(host, BLOCKED)
        if not was_blocked:
            self._events.peer_blocked(host)
        return None

    async def allow(self, host: str) -> Refused | None:
        """Take a run-time block back, and let the host speak where only listed ones may.

        ``config_decides`` (409) where the configuration blocks it.
        """
        refusal = self.contradicts(host, block=False)
        if refusal is not None:
            return refusal
        await self._judge(host, ALLOWED)
        return None

    async def take_back(self, host: str, verdict: str) -> Refused | None:
        """Nothing is decided of the host any more, where it was ``verdict`` at run time; the other one stands.

        ``config_decides`` (409) where the configuration blocks it and so still would.
        """
        refusal = self.contradicts(host, block=False)
        if refusal is not None:
            return refusal
        if self._policies.verdicts.get(host) == verdict:
            await self._judge(host, None)
        return None

    async def refresh(self) -> None:
        """Take over what another process decided; hosts that are blocked now are told as ``peer_blocked``."""
        async with self._database.read() as tx:
            judged = await store.load_verdicts(tx)
        if judged != self._policies.verdicts:
            self._take_over(judged)

    def _take_over(self, judged: dict[str, str]) -> None:
        before = self._policies.blocked_hosts()
        self._policies.verdicts = judged
        self.changed()
        for host in sorted(self._policies.blocked_hosts() - before):
            self._events.peer_blocked(host)

    async def _judge(self, host: str, verdict: str | None) -> None:
        await self._database.write(lambda tx: store.set_verdict(tx, host, verdict))
        if verdict is None:
            self._policies.verdicts.pop(host, None)
        else:
            self._policies.verdicts[host] = verdict
        self.changed()
        self.moved()
