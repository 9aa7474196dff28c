"""Rows of kept keys: what stands in them, and which of two of the same key stays."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import ColumnElement, Executable, and_, case, or_
from sqlalchemy.dialects import postgresql, sqlite

from federation.actors import ActorDocument
from federation.multikey import encode_multikey
from federation.remote_key import RemoteKey
from federation.tables import remote_keys
from foundation.sites import site_of
from foundation.urls import authority


def unless_older(statement: postgresql.Insert | sqlite.Insert) -> Executable:
    """A key never replaces a newer one, nor a mark that it is gone; a mark replaces every key."""
    new, old = statement.excluded, remote_keys.c
    changed: dict[str, ColumnElement[Any]] = {name: new[name] for name in ("site", "document", "saved_ms")}
    changed["fetched_ms"] = case((old.fetched_ms > new.fetched_ms, old.fetched_ms), else_=new.fetched_ms)
    newer = or_(
        new.document == "",
        old.fetched_ms < new.fetched_ms,
        and_(old.fetched_ms == new.fetched_ms, old.document != ""),
    )
    return statement.on_conflict_do_update(index_elements=["digest"], set_=changed, where=newer)


def digest_of(name: str) -> bytes:
    """What a keyId without its fragment is known by here."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def mark_row(name: str, gone_ms: int, now_ms: int) -> dict[str, object]:
    """That what was fetched of it until ``gone_ms`` is gone."""
    site = site_of(authority(name) or "")[:300]
    return {
        "digest": digest_of(name).hex(),
        "site": site,
        "document": "",
        "fetched_ms": gone_ms,
        "saved_ms": now_ms,
    }


def row_of(name: str, key: RemoteKey, now_ms: int) -> dict[str, object]:
    """What is kept of a key: what its actor's document says of it."""
    document = ActorDocument(
        id=key.actor,
        type=key.actor_type,
        preferred_username="",
        inbox=key.inbox or "",
        shared_inbox=key.shared_inbox,
        followers=None,
        outbox=None,
        public_key_id=key.key_id,
        public_key_pem=key.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii"),
        multikeys=tuple(
            (other.key_id, encode_multikey(other.public_key))
            for other in key.others
            if isinstance(other.public_key, Ed25519PublicKey)
        ),
    )
    return {
        "digest": digest_of(name).hex(),
        "site": site_of(key.authority)[:300],
        "document": msgspec.json.encode(document).decode(),
        "fetched_ms": key.fetched_ms,
        "saved_ms": now_ms,
    }
