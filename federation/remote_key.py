"""A public key of somebody else's, read out of the document of the actor that owns it. Pure.

Import :class:`RemoteKey` from :mod:`federation.keys`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from federation.actors import ActorDocument
from federation.multikey import decode_multikey
from federation.public_keys import load_public_key
from federation.signatures.cavage import without_fragment
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.verifier import PublicKey
from foundation.errors import Refused
from foundation.urls import authority


@dataclass(frozen=True, slots=True)
class RemoteKey:
    """A public key, whose it is, and what else its actor's document said.

    ``authority`` is the actor's host. ``fetched_ms`` is wall time. A key that was configured and not fetched (a host
    application's) leaves the rest at its defaults. ``others`` are further keys of the same actor under ids of their
    own.
    """

    key_id: str
    actor: str
    authority: str
    public_key: PublicKey
    actor_type: str = ""
    inbox: str | None = None
    shared_inbox: str | None = None
    fetched_ms: int = 0
    others: tuple[RemoteKey, ...] = ()

    def named(self, key_id: str) -> RemoteKey:
        """The key of exactly this id among all of the actor's; else this one, whatever fragment a peer gives it."""
        for other in self.others:
            if other.key_id == key_id:
                return other
        return self


def key_of(document: ActorDocument, name: str, *, minimum_bits: int, now_ms: int) -> RemoteKey | Refused:
    """The key that was asked for as ``name`` (no fragment), as this document of ``now_ms`` (wall time) gives it."""
    if without_fragment(document.public_key_id) != name:
        return refuse(SignatureReason.KEY_OWNER, "the actor's key has another id than the keyId")
    host = authority(document.id)
    if host is None or host != authority(name):
        return refuse(SignatureReason.KEY_OWNER, "the key lies on another host than its owner")
    public_key = load_public_key(document.public_key_pem, minimum_bits)
    if isinstance(public_key, Refused):
        return public_key
    key = RemoteKey(
        key_id=document.public_key_id,
        actor=document.id,
        authority=host,
        public_key=public_key,
        actor_type=document.type,
        inbox=document.inbox,
        shared_inbox=document.shared_inbox,
        fetched_ms=now_ms,
    )
    return replace(key, others=_multikeys(document, key, name)) if document.multikeys else key


def _multikeys(document: ActorDocument, key: RemoteKey, name: str) -> tuple[RemoteKey, ...]:
    """The Ed25519 keys that an actor's document lists beside ``publicKey``, under fragments of the actor's own URL."""
    found = []
    for key_id, text in document.multikeys:
        public_key = decode_multikey(text)
        if not isinstance(public_key, Refused) and without_fragment(key_id) == name and key_id != key.key_id:
            found.append(replace(key, key_id=key_id, public_key=public_key))
    return tuple(found)
