"""Bearer tokens (RFC 6750) of host applications and administrators: who holds which, kept as digests only."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field

from foundation.errors import ConfigError, Refused
from foundation.principal import Principal, Role

MAX_TOKEN_CHARS = 512
"""A longer bearer is nobody's; it is refused before it is hashed."""

MIN_TOKEN_CHARS = 8
"""Shorter configured values could be guessed over the network."""

NO_TOKEN = Refused("token_missing", "A bearer token is needed", 401)
BAD_TOKEN = Refused("token_invalid", "Token is invalid", 401)


def lacks(principal: Principal, role: Role) -> Refused | None:
    """``role_missing`` (403) when this caller may not act in that role."""
    return None if principal.may(role) else Refused("role_missing", f"This needs a token of role {role.value}", 403)


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """One configured token. ``value`` is the secret itself: a ``TokenBook`` keeps its digest and forgets it."""

    name: str
    role: Role
    value: str = field(repr=False)
    channels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    principal: Principal


class TokenBook:
    """Which bearer is whom.

    Memory holds SHA-256 digests, so a dump of it gives no token away. Every entry is compared in constant time and none
    is skipped once one has matched: how long an answer takes says nothing about the tokens.
    """

    def __init__(self, grants: Iterable[TokenGrant] = ()) -> None:
        self._entries: tuple[_Entry, ...] = ()
        self.replace(grants)

    def replace(self, grants: Iterable[TokenGrant]) -> None:
        """Take over a new configuration at once; raises ConfigError and changes nothing when a grant is unusable."""
        entries: list[_Entry] = []
        for index, grant in enumerate(grants):
            path = f"tokens[{index}].value"
            if not MIN_TOKEN_CHARS <= len(grant.value) <= MAX_TOKEN_CHARS:
                raise ConfigError(path, f"a token has {MIN_TOKEN_CHARS} to {MAX_TOKEN_CHARS} characters")
            digest = _digest(grant.value)
            if any(entry.digest == digest for entry in entries):
                raise ConfigError(path, "the same token is given twice")
            entries.append(_Entry(digest, Principal(grant.name, grant.role, grant.channels)))
        self._entries = tuple(entries)

    def authenticate(self, bearer: str) -> Principal | None:
        """Who holds this token; None when nobody does."""
        if not bearer or len(bearer) > MAX_TOKEN_CHARS:
            return None
        digest = _digest(bearer)
        found: Principal | None = None
        for entry in self._entries:
            if hmac.compare_digest(entry.digest, digest):
                found = entry.principal
        return found

    def mark(self, bearer: str, key: bytes) -> bytes | None:
        """What stands for this token where the token itself must not be: nobody makes it, or the token from it, without
        ``key``. None for nobody's token."""
        return None if self.authenticate(bearer) is None else _mark(_digest(bearer), key)

    def marked(self, mark: bytes, key: bytes) -> Principal | None:
        """Who holds the token that this mark was made of; None once it is in no configuration any more."""
        found: Principal | None = None
        for entry in self._entries:
            if hmac.compare_digest(_mark(entry.digest, key), mark):
                found = entry.principal
        return found

    def require(self, bearer: str | None, role: Role) -> Principal | Refused:
        """The caller in that role; refused: ``token_missing``, ``token_invalid`` (401), ``role_missing`` (403)."""
        if bearer is None:
            return NO_TOKEN
        principal = self.authenticate(bearer)
        if principal is None:
            return BAD_TOKEN
        return lacks(principal, role) or principal

    def __len__(self) -> int:
        return len(self._entries)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _mark(digest: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"token" + digest, "sha256")
