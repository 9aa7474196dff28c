"""Signed requests made by hand, so that every part of one can be wrong."""

from __future__ import annotations

import base64
import functools
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, HashAlgorithm

from federation.keys import RemoteKey
from federation.signatures.digest import sha256_digest
from federation.signatures.verifier import Profile, SignedRequest
from foundation.httpdate import format_http_date

NOW_MS = 1_800_000_000_000
HOST = "tube.example"
ACTOR = "https://peer.example/accounts/peertube"
KEY_ID = f"{ACTOR}#main-key"
BODY = b'{"type":"View"}'
PROFILE = Profile(frozenset({HOST}))
POST_NAMES = ("(request-target)", "host", "date", "digest")
GET_NAMES = ("(request-target)", "host", "date")


@functools.cache
def rsa_key(bits: int = 2048, number: int = 0, exponent: int = 65537) -> RSAPrivateKey:
    """The same key for the same arguments."""
    return generate_private_key(exponent, bits)


@functools.cache
def ed25519_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def remote_key(key: RSAPrivateKey | Ed25519PrivateKey | None = None, key_id: str = KEY_ID) -> RemoteKey:
    return RemoteKey(key_id, ACTOR, "peer.example", (key or rsa_key()).public_key())


def base_headers(body: bytes = BODY) -> list[tuple[str, str]]:
    return [("Host", HOST), ("Date", format_http_date(NOW_MS)), ("Digest", sha256_digest(body))]


def make(
    *,
    method: str = "POST",
    path: str = "/inbox",
    body: bytes = BODY,
    headers: Sequence[tuple[str, str]] | None = None,
    names: Sequence[str] = POST_NAMES,
    params: str = '{key_id},algorithm="rsa-sha256",{headers},{signature}',
    key: RSAPrivateKey | Ed25519PrivateKey | None = None,
    sha: HashAlgorithm | None = None,
    values: dict[str, object] | None = None,
    field: str = "Signature",
) -> SignedRequest:
    """A request whose signature covers ``names``. ``params`` is the header, with the three usual parameters where they
    are named; ``values`` are what (created), (expires) and (request-target) stand for in the signed text."""
    sent = base_headers(body) if headers is None else list(headers)
    lines = []
    for name in names:
        joined = ", ".join(value for key_, value in sent if key_.lower() == name.lower())
        default = f"{method.lower()} {path}" if name.lower() == "(request-target)" else joined
        lines.append(f"{name.lower()}: {(values or {}).get(name.lower(), default)}")
    text = "\n".join(lines).encode()
    key = key or rsa_key()
    raw = key.sign(text, PKCS1v15(), sha or SHA256()) if isinstance(key, RSAPrivateKey) else key.sign(text)
    header = params.format(
        key_id=f'keyId="{KEY_ID}"',
        headers=f'headers="{" ".join(names)}"',
        signature=f'signature="{base64.b64encode(raw).decode()}"',
    )
    return SignedRequest(method, path, [*sent, (field, header)], body)
