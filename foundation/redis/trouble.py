"""What an exception on the way to Redis means, in one phrase for people, without a secret."""

from __future__ import annotations

import os
import re

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    RedisClusterException,
)

SURROUNDINGS = {
    "OOM": "is full (maxmemory)",
    "READONLY": "is a replica that takes no changes",
    "LOADING": "is loading its data",
    "BUSY": "is busy with a script",
    "MISCONF": "cannot write to its disk",
    "CLUSTERDOWN": "is a cluster that is down",
    "MASTERDOWN": "has lost its primary",
    "NOREPLICAS": "has too few replicas",
    "TRYAGAIN": "is moving slots",
    "NOAUTH": "wants a password",
    "WRONGPASS": "does not take the password",
    "NOPERM": "does not let this user run scripts",
}
"""First words of errors that are not a script's own."""

_TYPES: tuple[tuple[type[BaseException], str], ...] = (
    (ClusterDownError, SURROUNDINGS["CLUSTERDOWN"]),
    (MasterDownError, SURROUNDINGS["MASTERDOWN"]),
    (MovedError, "is one node of a cluster: it wants redis+cluster:// as its address"),
)
"""Errors whose first word the client has taken away."""

_NOT_CONNECTED = re.compile(
    r"Error (-?\d{1,4}) connecting to (?:unix socket: )?(\S{1,300}?)\.(?=\s|$)(?: ([A-Za-z ]{1,60}))?"
)
"""As the client says it: a number of the system (negative: of its resolver), where to, and in words."""


def cause_of(problem: BaseException, place: str) -> str:
    """What to say behind the name of ``place``; it names the node where ``place`` alone leaves open which."""
    causes = _chain(problem)
    for each in causes:
        said = str(each)
        word = said.split(" ", 1)[0]
        if word in SURROUNDINGS:
            return SURROUNDINGS[word]
        for kind, meaning in _TYPES:
            if isinstance(each, kind):
                return meaning
        if isinstance(each, AuthenticationError | AuthenticationWrongNumberOfArgsError):
            whose = " of its sentinels (sentinel_password)" if isinstance(causes[-1], MasterNotFoundError) else ""
            return _password(said) + whose
        if isinstance(each, MasterNotFoundError) and each.__cause__ is None:
            return "has no primary of this name that is up, say its sentinels"
        if "unknown command `SENTINEL`" in said:
            return "is no sentinel: it wants redis:// as its address"
        if isinstance(each, RedisClusterException) and each.__cause__ is None and "not enabled" in said:
            return "is no cluster: it wants redis:// as its address"
        found = _NOT_CONNECTED.search(said)
        if found:
            named = found[2] in place and "," not in place
            return f"does not answer ({_system(found)})" if named else f"does not answer ({found[2]}: {_system(found)})"
    number = problem.errno if isinstance(problem, OSError) else None
    return f"does not answer ({os.strerror(number).lower() if number else type(problem).__name__})"


def _chain(problem: BaseException) -> list[BaseException]:
    """Innermost first: what wraps it says less."""
    causes = [problem]
    while (cause := causes[-1].__cause__) is not None and len(causes) < 10:
        causes.append(cause)
    return causes[::-1]


def _password(said: str) -> str:
    return SURROUNDINGS["WRONGPASS" if "invalid" in said or "without any password" in said else "NOAUTH"]


def _system(found: re.Match[str]) -> str:
    number = int(found[1])
    return os.strerror(number).lower() if number > 0 else (found[3] or "the name is not known").strip().lower()
