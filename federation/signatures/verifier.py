"""Judging a signed request in two steps, the cheap one first, so that nothing is fetched for a request that is no good.

:func:`inspect` reads what the request alone can tell; :func:`check` needs the sender's public key. Neither remembers
anything: the same request twice is verified twice, because what it asks for is idempotent or remembered by its id.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm

from federation.signatures.cavage import (
    CREATED,
    REQUEST_TARGET,
    SignatureParams,
    find_signature,
    joined_fields,
    parse_signature,
    signing_string,
    without_fragment,
)
from federation.signatures.digest import check_digest
from federation.signatures.freshness import created_ms, dated_ms, expired, wrong_host
from federation.signatures.model import (
    DEFAULT_CLOCK_SKEW_MS,
    DEFAULT_MINIMUM_KEY_BITS,
    Inspected,
    Profile,
    PublicKey,
    Scheme,
    SignedRequest,
    Verdict,
    VerificationKey,
    Verified,
)
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.rfc9421 import inspect_message
from foundation.errors import Refused

__all__ = [
    "DEFAULT_CLOCK_SKEW_MS",
    "DEFAULT_MINIMUM_KEY_BITS",
    "Inspected",
    "Profile",
    "PublicKey",
    "Scheme",
    "SignedRequest",
    "Verdict",
    "VerificationKey",
    "Verified",
    "check",
    "inspect",
]

_RsaAlgorithms = tuple[tuple[AsymmetricPadding, HashAlgorithm], ...]
_SHA256 = (PKCS1v15(), SHA256())
_SHA512 = (PKCS1v15(), SHA512())
_PSS = (PSS(MGF1(SHA512()), salt_length=64), SHA512())  # RFC 9421, section 3.3.1
_RSA: Mapping[Scheme, Mapping[str | None, _RsaAlgorithms]] = {
    Scheme.CAVAGE: {
        "rsa-sha256": (_SHA256,),
        "rsa-sha512": (_SHA512,),
        "hs2019": (_SHA256, _SHA512),
        None: (_SHA256, _SHA512),
    },
    Scheme.RFC9421: {
        "rsa-v1_5-sha256": (_SHA256,),
        "rsa-pss-sha512": (_PSS,),
        None: (_SHA256, _PSS),
    },
}
_ED25519: Mapping[Scheme, frozenset[str | None]] = {
    Scheme.CAVAGE: frozenset({"ed25519", "hs2019", None}),
    Scheme.RFC9421: frozenset({"ed25519", None}),
}
_BODILESS = frozenset({"GET", "HEAD"})
_CHECKED_FIELDS = frozenset({"host", "date", "digest"})


def inspect(request: SignedRequest, profile: Profile, now_ms: int) -> Inspected | Refused:
    """Everything that can be said without the key: syntax, what is signed, our host, freshness, the body's digest."""
    text = find_signature(request.headers)
    if text is None:
        return inspect_message(request, profile, now_ms)
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
        or wrong_host(fields.get("host"), profile)
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
        algorithms = _RSA[inspected.scheme].get(algorithm)
        if algorithms is None:
            return refuse(SignatureReason.ALGORITHM, "the named algorithm is not one for an RSA key")
        if public_key.key_size < inspected.profile.minimum_key_bits:
            return refuse(SignatureReason.WEAK_KEY, f"the RSA key has only {public_key.key_size} bits")
        good = _rsa_any(public_key, inspected, algorithms)
    else:
        if algorithm not in _ED25519[inspected.scheme]:
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


def _wrong_digest(names: tuple[str, ...], digest: str | None, body: bytes) -> Refused | None:
    if "digest" not in names:
        return None
    if digest is None:
        return refuse(SignatureReason.NO_DIGEST, "the Digest header is missing")
    return check_digest(digest, body)


def _fresh(params: SignatureParams, date: str | None, profile: Profile, now_ms: int) -> int | Refused:
    """When it was signed, Unix milliseconds. Every signed instant has to be fresh; ``expires`` counts signed or not."""
    signed_ms: int | Refused = 0
    if CREATED in params.signed_names:
        signed_ms = created_ms(params.created, profile, now_ms)
    if "date" in params.signed_names and not isinstance(signed_ms, Refused):
        signed_ms = dated_ms(date, profile, now_ms)
    if isinstance(signed_ms, Refused):
        return signed_ms
    return expired(params.expires, now_ms) or signed_ms


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


def _rsa_any(key: RSAPublicKey, inspected: Inspected, algorithms: _RsaAlgorithms) -> bool:
    for text in inspected.texts:
        for padding, sha in algorithms:
            try:
                key.verify(inspected.signature, text, padding, sha)
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
