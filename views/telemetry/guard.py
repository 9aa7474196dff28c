"""Several sources may each say that a viewer came and went; the viewer is here while at least one of them holds it.

The meaning is LiveKit's (``pkg/telemetry``): a source owns a guard of two one-way bits, so that saying a thing twice, a
leave without a join, or both from two sources can neither keep a viewer for good nor end it early. Pure.
"""

from __future__ import annotations


class ReferenceGuard:
    """One source's hold on one session. A new stay of the same source wants a fresh one (``reset``)."""

    __slots__ = ("activated", "released")

    def __init__(self) -> None:
        self.activated = False
        self.released = False

    def reset(self) -> None:
        """As new: for a source that outlives the session it held."""
        self.activated = self.released = False


class ReferenceCount:
    """How many guards hold one session."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def activate(self, guard: ReferenceGuard | None) -> None:
        """The guard's source holds from now on; once per guard. None only looks, and changes nothing."""
        if guard is None or guard.activated:
            return
        guard.activated = True
        self._held += 1

    def release(self, guard: ReferenceGuard | None) -> bool:
        """The source lets go; True when that was the last hold. A guard that does not hold (it never did, or has let go
        before) changes nothing; neither does None."""
        if guard is None or not guard.activated or guard.released:
            return False
        guard.released = True
        self._held -= 1
        return self._held == 0
