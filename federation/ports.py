"""What the protocol side tells the outside, as protocols it owns. ``outbox`` implements, ``service`` joins."""

from __future__ import annotations

from typing import Protocol


class PeerEvents(Protocol):
    """News about peers, told after they are committed."""

    def peer_spoke(self, host: str) -> None:
        """A correctly signed message of this host arrived: it is alive."""

    def follower_added(self, host: str) -> None:
        """An actor of this host follows us now: it wants to hear everything."""

    def follower_removed(self, host: str) -> None: ...

    def following_accepted(self, host: str) -> None:
        """Our Follow was accepted: its outbox may be read, its announces will come."""

    def peer_blocked(self, host: str) -> None: ...


class NullPeerEvents:
    """Listens to nothing."""

    def peer_spoke(self, host: str) -> None:
        return None

    def follower_added(self, host: str) -> None:
        return None

    def follower_removed(self, host: str) -> None:
        return None

    def following_accepted(self, host: str) -> None:
        return None

    def peer_blocked(self, host: str) -> None:
        return None


class Activity(Protocol):
    """Hears how much each peer sends; see :class:`federation.peers.activity.PeerActivity`. Must not block."""

    def saw_viewer(self, host: str) -> None: ...

    def saw_view(self, host: str) -> None: ...


class NullActivity:
    """Keeps nothing."""

    def saw_viewer(self, host: str) -> None:
        return None

    def saw_view(self, host: str) -> None:
        return None


NULL_ACTIVITY = NullActivity()
