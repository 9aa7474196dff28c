"""Who posts to the outbox: a host application with a token, or with a signature by a key of the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from federation.signatures.verifier import Profile, PublicKey, SignedRequest, check, inspect
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.principal import Principal, Role
from foundation.tokens import BAD_TOKEN, NO_TOKEN, TokenBook, lacks
from foundation.web import bearer_token


@dataclass(frozen=True, slots=True)
class SignedClient:
    """A configured ``tokens`` entry with a ``public_key``; the signature's ``keyId`` is the entry's name."""

    principal: Principal
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class _ClientKey:
    key_id: str
    actor: str
    public_key: PublicKey


class ClientAuthenticator:
    """``authenticate(request, body)`` is a Principal or a refusal (401)."""

    def __init__(
        self, *, tokens: TokenBook, profile: Profile, clock: Clock, clients: Iterable[SignedClient] = ()
    ) -> None:
        self._tokens = tokens
        self._profile = profile
        self._clock = clock
        self._clients: Mapping[str, SignedClient] = {client.principal.name: client for client in clients}

    def replace(self, clients: Iterable[SignedClient]) -> None:
        """Take a changed configuration."""
        self._clients = {client.principal.name: client for client in clients}

    def authenticate(self, request: web.BaseRequest, body: bytes) -> Principal | Refused:
        token = bearer_token(request)
        if token is not None:
            return self._tokens.authenticate(token) or BAD_TOKEN
        if "Signature" not in request.headers:
            return NO_TOKEN
        headers = tuple((name, value) for name, value in request.headers.items())
        signed = SignedRequest(request.method, request.raw_path, headers, body)
        inspected = inspect(signed, self._profile, self._clock.now_ms())
        if isinstance(inspected, Refused):
            return inspected
        client = self._clients.get(inspected.key_id)
        if client is None:
            return Refused("unknown_key", "no client is configured under this keyId", 401)
        name = client.principal.name
        verdict = check(inspected, _ClientKey(name, name, client.public_key))
        return verdict if isinstance(verdict, Refused) else client.principal


def may(principal: Principal | Refused, role: Role) -> Refused | None:
    """None when the principal may act in this role, else why not (401 or 403)."""
    if isinstance(principal, Refused):
        return principal
    return lacks(principal, role)
