"""A part that is built after something that will need it: the towers and the doors refer to each other at run time."""

from __future__ import annotations

from typing import Generic, TypeVar

from federation.ports import PeerEvents

T = TypeVar("T")


class Late(Generic[T]):
    """Set once while the service is built, read afterwards."""

    def __init__(self) -> None:
        self._value: T | None = None

    @property
    def value(self) -> T:
        assert self._value is not None, "read before the service was built"
        return self._value

    @value.setter
    def value(self, value: T) -> None:
        assert self._value is None, "set twice"
        self._value = value


class LateEvents:
    """Passes ``PeerEvents`` on to the door out, which is built after the registry that tells them.

    ``blocked`` collects hosts whose viewers are to be forgotten at the next sweep.
    """

    def __init__(self) -> None:
        self.to: Late[PeerEvents] = Late()
        self.blocked: set[str] = set()

    def peer_spoke(self, host: str) -> None:
        self.to.value.peer_spoke(host)

    def follower_added(self, host: str) -> None:
        self.to.value.follower_added(host)

    def follower_removed(self, host: str) -> None:
        self.to.value.follower_removed(host)

    def following_accepted(self, host: str) -> None:
        self.to.value.following_accepted(host)

    def peer_blocked(self, host: str) -> None:
        self.blocked.add(host)
        self.to.value.peer_blocked(host)
