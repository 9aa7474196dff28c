"""Signing with one key in one way: ``from support.one_key import OneKey``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from federation.signatures.signer import Signer
from federation.signing import RequestSigner

_Answer = TypeVar("_Answer")


class OneKey:
    """Stands where `federation.signing.Signing` does, and never knocks twice."""

    def __init__(self, private_key: RSAPrivateKey) -> None:
        self._key = private_key
        self._signers: dict[str, Signer] = {}

    async def send(self, host: str, actor: str, attempt: Callable[[RequestSigner], Awaitable[_Answer]]) -> _Answer:
        if actor not in self._signers:
            self._signers[actor] = Signer(f"{actor}#main-key", self._key)
        return await attempt(self._signers[actor])
