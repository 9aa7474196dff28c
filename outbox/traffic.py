"""How much is sent to a host: requests and bytes of the last hour, in constant memory. Pure; instants are monotonic
milliseconds."""

from __future__ import annotations

SLOTS = 12
SLOT_MS = 300_000


class Traffic:
    """Twelve slots of five minutes: an hour, of which the slot under way is the last part."""

    __slots__ = ("_bytes", "_posts", "_slot")

    def __init__(self) -> None:
        self._posts = [0] * SLOTS
        self._bytes = [0] * SLOTS
        self._slot = 0

    def note(self, size: int, now_ms: int) -> None:
        """One request with a body of so many bytes."""
        self._turn(now_ms)
        place = self._slot % SLOTS
        self._posts[place] += 1
        self._bytes[place] += size

    def hour(self, now_ms: int) -> tuple[int, int]:
        """Requests and bytes of the last 55 to 60 minutes."""
        self._turn(now_ms)
        return sum(self._posts), sum(self._bytes)

    def _turn(self, now_ms: int) -> None:
        """Empty the slots that time has passed."""
        slot = now_ms // SLOT_MS
        for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
            self._posts[passed % SLOTS] = self._bytes[passed % SLOTS] = 0
        self._slot = max(self._slot, slot)
