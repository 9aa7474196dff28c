"""The nouns of signatures: what was signed, what we ask of it, and what came of it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from foundation.errors import Refused

PublicKey = RSAPublicKey | Ed25519PublicKey
Headers = Sequence[tuple[str, str]]
"""Header fields in the order and case in which they arrived."""

DEFAULT_CLOCK_SKEW_MS = 1_800_000
"""What PeerTube 6.3 tolerates between its clock and a signed date; its queues are slow."""
DEFAULT_MINIMUM_KEY_BITS = 2048


class Scheme(enum.StrEnum):
    """How a request is signed."""

    CAVAGE = "cavage"
    """draft-cavage-http-signatures-12: what all of the fediverse speaks."""
    RFC9421 = "rfc9421"
    """HTTP Message Signatures, the standard that came of it."""


class SignedRequest(msgspec.Struct, frozen=True):
    """What a signature is about. ``path`` is the raw request target, query included, as it stood on the wire."""

    method: str
    path: str
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Profile:
    """What this instance asks of a signature.

    ``own_authorities`` are the values of ``Host`` we answer to (host, and port unless it is the default). ``origin``
    (``https://host``, from ``instance.url``) is what the targets of RFC 9421 begin with, whatever a proxy in front made
    of scheme and host; None: https and the first of ``own_authorities``. ``clock_skew_ms`` counts both ways. The
    defaults are those of config.yaml.
    """

    own_authorities: frozenset[str]
    clock_skew_ms: int = DEFAULT_CLOCK_SKEW_MS
    minimum_key_bits: int = DEFAULT_MINIMUM_KEY_BITS
    origin: str | None = None

    @property
    def own_origin(self) -> str:
        return self.origin or f"https://{min(self.own_authorities)}"


class Inspected(msgspec.Struct, frozen=True):
    """A request that deserves a look at its key. ``texts`` are the bytes one of which was signed.

    ``signed_date_ms`` is the sender's clock: the signed ``Date``, else ``created``. Nothing is proven yet.
    """

    key_id: str
    signature: bytes
    algorithm: str | None
    signed_date_ms: int
    texts: tuple[bytes, ...]
    profile: Profile
    scheme: Scheme = Scheme.CAVAGE


class VerificationKey(Protocol):
    """A public key and whose it is; see :class:`federation.keys.RemoteKey`."""

    @property
    def key_id(self) -> str: ...
    @property
    def actor(self) -> str: ...
    @property
    def public_key(self) -> PublicKey: ...


class Verified(msgspec.Struct, frozen=True):
    """Proof that ``actor`` sent exactly this request, and when by its own clock."""

    key_id: str
    actor: str
    signed_date_ms: int
    algorithm: str | None


Verdict = Verified | Refused
