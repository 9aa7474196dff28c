"""Judging a signed request in two steps, the cheap one first, so that nothing is fetched for a request that is no good.

:func:`inspect` reads what the request alone can tell; :func:`check` needs the sender's public key. Neither remembers
anything: the same request twice is verified twice, because what it asks for is idempotent or remembered by its id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm

from federation.signatures.cavage import (
    CREATED,
    REQUEST_TARGET,
    Headers,
    SignatureParams,
    find_signature,
    joined_fields,
    parse_signature,
    signing_string,
    without_fragment,
)
from federation.signatures.digest import check_digest
from federation.signatures.reasons import SignatureReason, refuse
from foundation.errors import Refused
from foundation.httpdate import http_date_ms
from foundation.urls import parse_host

PublicKey = RSAPublicKey | Ed25519PublicKey

DEFAULT_CLOCK_SKEW_MS = 1_800_000
"""What PeerTube 6.3 tolerates between its clock and a signed date; its queues are slow."""
DEFAULT_MINIMUM_KEY_BITS = 2048

_PADDING = PKCS1v15()
_RSA_HASHES: dict[str | None, tuple[HashAlgorithm, ...]] = {
    "rsa-sha256": (SHA256(),),
    "rsa-sha512": (SHA512(),),
    "hs2019": (SHA256(), SHA512()),
    None: (SHA256(), SHA512()),
}
_ED25519_NAMES: frozenset[str | None] = frozenset({"ed25519", "hs2019", None})
_BODILESS = frozenset({"GET", "HEAD"})
_CHECKED_FIELDS = frozenset({"host", "date", "digest"})


class SignedRequest(msgspec.Struct, frozen=True):
    """What a signature is about. ``path`` is the raw request target, query included, as it stood on the wire."""

    method: str
    path: str
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Profile:
    """What this instance asks of a signature.

    ``own_authorities`` are the values of ``Host`` we answer to (host, and port unless it is the default).
    ``clock_skew_ms`` counts both ways. The defaults are those of config.yaml.
    """

    own_authorities: frozenset[str]
    clock_skew_ms: int = DEFAULT_CLOCK_SKEW_MS
    minimum_key_bits: int = DEFAULT_MINIMUM_KEY_BITS


class Inspected(msgspec.Struct, frozen=True):
    """A request that deserves a look at its key. ``texts`` are the bytes one of which was signed.

    ``signed_date_ms`` is the sender's clock: the signed ``Date``, else ``(created)``. Nothing is proven yet.
    """

    key_id: str
    signature: bytes
    algorithm: str | None
    signed_date_ms: int
    texts: tuple[bytes, ...]
    profile: Profile


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


def inspect(request: SignedRequest, profile: Profile, now_ms: int) -> Inspected | Refused:
    """Everything that can be said without the key: syntax, what is signed, our host, freshness, the body's digest."""
    text = find_signature(request.headers)
    if isinstance(text, Refused):
        return text
    params = parse_signature(text)
    if isinstance(params, Refused):
        return params
    names = params.signed_names
    fields = joined_fields(request.headers, _CHECKED_FIELDS.union(names))
    bodiless = request.method in _BODILESS and not request.body
    refusal = (
        _missing(names, bodiless=bodiless)
        or _wrong_host(fields.get("host"), profile)
        or _wrong_digest(names, fields.get("digest"), request.body)
    )
    if refusal is not None:
        return refusal
    signed_ms = _fresh(params, fields.get("date"), profile, now_ms)
    if isinstance(signed_ms, Refused):
        return signed_ms
    texts = _texts(params, request, fields)
    if isinstance(texts, Refused):
        return texts
    return Inspected(params.key_id, params.signature, params.algorithm, signed_ms, texts, profile)


def check(inspected: Inspected, key: VerificationKey) -> Verdict:
    """Whether this key made the signature. The type of the key decides which algorithms there are; the header may only
    choose among them, so that no public key is ever taken for a shared secret."""
    if without_fragment(key.key_id) != without_fragment(inspected.key_id):
        return refuse(SignatureReason.KEY_OWNER, "the key at hand is not the one the signature names")
    public_key, algorithm = key.public_key, inspected.algorithm
    if isinstance(public_key, RSAPublicKey):
        hashes = _RSA_HASHES.get(algorithm)
        if hashes is None:
            return refuse(SignatureReason.ALGORITHM, "the named algorithm is not one for an RSA key")
        if public_key.key_size < inspected.profile.minimum_key_bits:
            return refuse(SignatureReason.WEAK_KEY, f"the RSA key has only {public_key.key_size} bits")
        good = _rsa_any(public_key, inspected, hashes)
    else:
        if algorithm not in _ED25519_NAMES:
            return refuse(SignatureReason.ALGORITHM, "the named algorithm is not one for an Ed25519 key")
        good = any(_ed25519(public_key, inspected.signature, text) for text in inspected.texts)
    if not good:
        return refuse(SignatureReason.WRONG_SIGNATURE, "the signature is not by this key, or the request was changed")
    return Verified(inspected.key_id, key.actor, inspected.signed_date_ms, algorithm)


def _missing(names: tuple[str, ...], *, bodiless: bool) -> Refused | None:
    for name in (REQUEST_TARGET, "host"):
        if name not in names:
            return refuse(SignatureReason.MISSING_COMPONENT, f"{name} is not signed")
    if "date" not in names and CREATED not in names:
        return refuse(SignatureReason.NO_DATE, "neither date nor (created) is signed")
    if not bodiless and "digest" not in names:
        return refuse(SignatureReason.NO_DIGEST, "digest is not signed")
    return None


def _wrong_host(host: str | None, profile: Profile) -> Refused | None:
    if host in profile.own_authorities:
        return None
    try:
        # Upper case, or the default port spelled out.
        if host is not None and parse_host(host) in profile.own_authorities:
            return None
    except ValueError:
        pass
    return refuse(SignatureReason.HOST_MISMATCH, "the request was signed for another host")


def _wrong_digest(names: tuple[str, ...], digest: str | None, body: bytes) -> Refused | None:
    if "digest" not in names:
        return None
    if digest is None:
        return refuse(SignatureReason.NO_DIGEST, "the Digest header is missing")
    return check_digest(digest, body)


def _fresh(params: SignatureParams, date: str | None, profile: Profile, now_ms: int) -> int | Refused:
    """When it was signed, Unix milliseconds. Every signed instant has to be fresh; ``expires`` counts signed or not."""
    signed_ms: int | None = None
    if CREATED in params.signed_names:
        if params.created is None:
            return refuse(SignatureReason.MISSING_COMPONENT, "(created) is signed, but not given")
        signed_ms = params.created * 1000
        if abs(now_ms - signed_ms) > profile.clock_skew_ms:
            return refuse(SignatureReason.STALE, "(created) is too far from now")
    if "date" in params.signed_names:
        if date is None:
            return refuse(SignatureReason.MISSING_COMPONENT, "date is signed, but not in the request")
        signed_ms = http_date_ms(date)
        if signed_ms is None:
            return refuse(SignatureReason.BAD_DATE, "the Date header is not an HTTP date")
        if abs(now_ms - signed_ms) > profile.clock_skew_ms:
            return refuse(SignatureReason.STALE, "the Date header is too far from now")
    if params.expires is not None and params.expires * 1000 < now_ms:
        return refuse(SignatureReason.STALE, "the signature has expired")
    assert signed_ms is not None, "one of the two is signed, or _missing said so"
    return signed_ms


def _texts(params: SignatureParams, request: SignedRequest, fields: dict[str, str]) -> tuple[bytes, ...] | Refused:
    text = signing_string(params, request.method, request.path, fields)
    if isinstance(text, Refused):
        return text
    path, question, _ = request.path.partition("?")
    if not question or request.method not in _BODILESS:
        return (text,)
    # PeerTube 6.3 signs a GET without its query; everybody else with it.
    bare = signing_string(params, request.method, path, fields)
    return bare if isinstance(bare, Refused) else (text, bare)


def _rsa_any(key: RSAPublicKey, inspected: Inspected, hashes: tuple[HashAlgorithm, ...]) -> bool:
    for text in inspected.texts:
        for sha in hashes:
            try:
                key.verify(inspected.signature, text, _PADDING, sha)
            except InvalidSignature:
                continue
            return True
    return False


def _ed25519(key: Ed25519PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        key.verify(signature, text)
    except InvalidSignature:
        return False
    return True
