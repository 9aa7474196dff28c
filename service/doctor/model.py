"""What a check finds, and what it may look at."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from federation.actors import ActorClient, HttpGetter
from federation.documents import InstanceIdentity
from federation.own_keys import OwnKeys
from foundation.clock import Clock
from foundation.database import Database
from foundation.http import HttpClient
from service.config import Config


class Status(enum.Enum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """``check`` names what was looked at, ``says`` what was seen, ``advice`` what to do (empty when it is well)."""

    check: str
    status: Status
    says: str
    advice: str = ""


def ok(check: str, says: str) -> Finding:
    return Finding(check, Status.OK, says)


def warning(check: str, says: str, advice: str) -> Finding:
    return Finding(check, Status.WARNING, says, advice)


def failed(check: str, says: str, advice: str) -> Finding:
    return Finding(check, Status.FAILED, says, advice)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """``keys``, ``identity`` and ``actors``, which makes who fetches actors with signed requests, are None where there
    is no key yet; ``database`` is None, and ``database_problem`` says why, where it cannot be opened. ``proxy_hint`` is
    what a running service has noticed."""

    config: Config
    clock: Clock
    http: HttpClient
    database: Database | None
    database_problem: str = ""
    keys: OwnKeys | None = None
    identity: InstanceIdentity | None = None
    actors: Callable[[HttpGetter], ActorClient] | None = None
    proxy_hint: Callable[[], str | None] = lambda: None


Check = Callable[[Surroundings], Awaitable[Sequence[Finding]]]
