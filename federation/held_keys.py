"""Public keys of others that a process has at hand, each for its time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from federation.kept_key_rows import digest_of
from federation.kept_keys import KeptKeys
from federation.key_policy import KeyPolicy, key_id_refusal
from federation.remote_key import RemoteKey, key_of
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.urls import authority


@dataclass(slots=True)
class HeldKey:
    """Monotonic instants: fetched again after ``until_ms``, of no use after ``stale_until_ms``."""

    key: RemoteKey
    until_ms: int
    stale_until_ms: int
    next_refetch_ms: int
    proven: bool = False


class HeldKeys:
    """By keyId without fragment; ``max_keys`` of them, those not used for the longest time go first. Those that are
    ``kept`` come back from there, unless another process says that they are gone or replaced."""

    def __init__(self, clock: Clock, policy: KeyPolicy, kept: KeptKeys | None) -> None:
        self._clock = clock
        self._policy = policy
        self._kept = kept
        self._keys: OrderedDict[str, HeldKey] = OrderedDict()
        self._names: dict[bytes, str] = {}
        # Names of keys that made a signature, and until when (monotonic) that speaks for them.
        self._proven: OrderedDict[str, int] = OrderedDict()
        if kept is not None:
            kept.hear(self._kept_elsewhere)

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, name: str) -> HeldKey | None:
        """What is at hand, however old."""
        return self._keys.get(name)

    async def find(self, name: str) -> HeldKey | None:
        """As ``get``, else what was kept."""
        if name not in self._keys:
            await self._recall(name)
        return self._keys.get(name)

    def in_time(self, name: str) -> RemoteKey | None:
        """The key, where it need not be fetched again."""
        entry = self._keys.get(name)
        if entry is None or self._clock.monotonic_ms() >= entry.until_ms:
            return None
        self._keys.move_to_end(name)
        return entry.key

    async def _recall(self, name: str) -> None:
        """Take a kept key into memory, with the rest of the time that it would have had there."""
        if self._kept is None or name not in self._kept:
            return
        found = await self._kept.read(name)
        if found is None or name in self._keys:
            return
        document, fetched_ms = found
        age_ms, now_ms, ttl_ms = self._clock.now_ms() - fetched_ms, self._clock.monotonic_ms(), self._policy.ttl_ms
        if not 0 <= age_ms < 2 * ttl_ms or key_id_refusal(name, authority(name), self._policy) is not None:
            return
        key = key_of(document, name, minimum_bits=self._policy.minimum_key_bits, now_ms=fetched_ms)
        if isinstance(key, Refused):
            return
        born_ms = now_ms - age_ms
        self.put(name, HeldKey(key, born_ms + ttl_ms, born_ms + 2 * ttl_ms, now_ms, proven=True))
        self.remember_proof(name, born_ms + 2 * ttl_ms)

    def put(self, name: str, entry: HeldKey) -> None:
        self._keys[name] = entry
        self._names[digest_of(name)] = name
        self._keys.move_to_end(name)
        if len(self._keys) > self._policy.max_keys:
            self._remove(next(iter(self._keys)))

    def _remove(self, name: str) -> None:
        self._keys.pop(name, None)
        self._names.pop(digest_of(name), None)

    def drop(self, name: str) -> int:
        """What was fetched until now is gone. Returns what now is (wall time)."""
        entry = self._keys.get(name)
        fetched_ms = 0 if entry is None else entry.key.fetched_ms
        self._remove(name)
        if self._kept is not None:
            return self._kept.drop(name, fetched_ms)
        return max(self._clock.now_ms(), fetched_ms)

    def _kept_elsewhere(self, digest: bytes, until_ms: int) -> None:
        name = self._names.get(digest)
        if name is not None and self._keys[name].key.fetched_ms <= until_ms:
            self._remove(name)

    def moved_elsewhere(self, name: str, until_ms: int) -> None:
        """Another process says so."""
        entry = self._keys.get(name)
        if entry is not None and entry.key.fetched_ms <= until_ms:
            self._remove(name)
        if self._kept is not None:
            self._kept.disbelieve(name, until_ms)

    def remember_proof(self, name: str, until_ms: int) -> None:
        self._proven[name] = until_ms
        self._proven.move_to_end(name)
        if len(self._proven) > self._policy.max_keys:
            self._proven.popitem(last=False)

    def has_proof(self, name: str) -> bool:
        """Whether this key made a signature lately."""
        return self._proven.get(name, 0) > self._clock.monotonic_ms()

    def stale(self, name: str) -> RemoteKey | None:
        """A key past its time that serves on, because its host cannot be asked just now."""
        entry, now_ms = self._keys.get(name), self._clock.monotonic_ms()
        if entry is None or now_ms >= entry.stale_until_ms:
            return None
        entry.until_ms = max(entry.until_ms, now_ms + self._policy.negative_ttl_ms)
        return entry.key
