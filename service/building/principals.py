"""Who may ask with a token or by signatures, as configured."""

from __future__ import annotations

from federation.keys import load_public_key
from foundation.errors import ConfigError, Refused
from foundation.principal import Principal
from foundation.tokens import TokenGrant
from outbox.client_auth import SignedClient
from service.config import Token


def grants_of(tokens: tuple[Token, ...]) -> list[TokenGrant]:
    """The bearer tokens of the configuration; those with a public key alone ask by signatures."""
    return [
        TokenGrant(token.name, token.role, token.value.reveal(), frozenset(token.channels))
        for token in tokens
        if token.value is not None
    ]


def signed_clients(tokens: tuple[Token, ...]) -> list[SignedClient]:
    """Those tokens that may ask by signatures. Raises ConfigError."""
    clients: list[SignedClient] = []
    for index, token in enumerate(tokens):
        if token.public_key is not None:
            key = load_public_key(token.public_key)
            if isinstance(key, Refused):
                raise ConfigError(f"tokens[{index}].public_key", key.detail)
            clients.append(SignedClient(Principal(token.name, token.role, frozenset(token.channels)), key))
    return clients
