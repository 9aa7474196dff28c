"""Who is logged in: a signed cookie that expires. Nothing is kept, so that every process of an instance reads it.

The cookie names the token only by a mark that nobody can make without our key: a token that leaves the configuration
takes its sessions along.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass

import msgspec

from foundation.clock import Clock
from foundation.principal import Principal, Role
from foundation.tokens import TokenBook

PREFIX = "fva1."
MAX_COOKIE_CHARS = 500
LIFE_MS = 8 * 3_600_000
"""A working day. It is not prolonged: pages that refresh themselves would never end."""

_NONCE_BYTES = 16


class _Said(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    expires_ms: int
    nonce: bytes
    mark: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """``principal`` is None before the login; forms then already need ``csrf``."""

    cookie: str
    csrf: str
    principal: Principal | None

    def sent(self, csrf: str) -> bool:
        """Whether a form was ours, compared in constant time."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode("utf-8", "surrogatepass"))


class Sessions:
    """``secret`` is shared by all processes of an instance."""

    def __init__(self, secret: bytes, tokens: TokenBook, clock: Clock) -> None:
        self._sign, self._mark, self._csrf = (
            hmac.digest(secret, f"dashboard {use}".encode(), "sha256") for use in ("session", "token", "form")
        )
        self._tokens = tokens
        self._clock = clock

    def anonymous(self) -> Session:
        """For whoever is about to log in."""
        return self._session(self._written(b""), None)

    def open(self, token: str) -> Session | None:
        """Somebody logs in; None when that is no admin's token."""
        principal, mark = self._tokens.authenticate(token), self._tokens.mark(token, self._mark)
        if principal is None or mark is None or not principal.may(Role.ADMIN):
            return None
        return self._session(self._written(mark), principal)

    def read(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None when it is not ours, over, or its token is none any more."""
        if cookie is None or len(cookie) > MAX_COOKIE_CHARS or not cookie.startswith(PREFIX):
            return None
        body, _, signature = cookie.removeprefix(PREFIX).rpartition(".")
        if not hmac.compare_digest(self._signature(body).encode(), signature.encode("utf-8", "surrogatepass")):
            return None
        try:
            said = msgspec.json.decode(urlsafe_b64decode(body.encode()), type=_Said)
        except (msgspec.MsgspecError, Base64Error, ValueError):
            return None
        if self._clock.now_ms() >= said.expires_ms:
            return None
        if not said.mark:
            return self._session(cookie, None)
        principal = self._tokens.marked(said.mark, self._mark)
        return None if principal is None or not principal.may(Role.ADMIN) else self._session(cookie, principal)

    def _written(self, mark: bytes) -> str:
        said = _Said(self._clock.now_ms() + LIFE_MS, secrets.token_bytes(_NONCE_BYTES), mark)
        body = urlsafe_b64encode(msgspec.json.encode(said)).decode()
        return f"{PREFIX}{body}.{self._signature(body)}"

    def _signature(self, body: str) -> str:
        return urlsafe_b64encode(hmac.digest(self._sign, body.encode("utf-8", "surrogatepass"), "sha256")).decode()

    def _session(self, cookie: str, principal: Principal | None) -> Session:
        csrf = urlsafe_b64encode(hmac.digest(self._csrf, cookie.encode(), "sha256")).decode()
        return Session(cookie, csrf, principal)
