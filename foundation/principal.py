"""Who asks: the role a bearer token (or a signed request of a host application) carries."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(enum.Enum):
    """Roles of configured tokens, from config-contract: each may do what the ones below it may."""

    ADMIN = "admin"
    HOST = "host"
    STATS = "stats"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. ``channels`` limits a ``stats`` token; empty means every channel."""

    name: str
    role: Role
    channels: frozenset[str] = frozenset()

    def may(self, role: Role) -> bool:
        order = (Role.STATS, Role.HOST, Role.ADMIN)
        return order.index(self.role) >= order.index(role)
