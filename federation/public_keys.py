"""What is accepted as somebody's public key. Import it from :mod:`federation.keys`."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from federation.multikey import is_small_order
from federation.signatures.reasons import SignatureReason, refuse
from federation.signatures.verifier import DEFAULT_MINIMUM_KEY_BITS, PublicKey
from foundation.errors import Refused

MAX_PEM_CHARS = 5000
"""PeerTube 6.3 keeps public keys in columns of this length."""
_MAX_RSA_BITS = 8192  # one verification costs with the square of the length
_MAX_EXPONENT = 1 << 32
_SPKI = "-----BEGIN PUBLIC KEY-----"


def load_public_key(pem: object, minimum_bits: int = DEFAULT_MINIMUM_KEY_BITS) -> PublicKey | Refused:
    """A usable key out of ``publicKeyPem``: SPKI PEM, RSA of at least ``minimum_bits``, or Ed25519.

    ``BEGIN RSA PUBLIC KEY`` (PKCS#1) is refused, as PeerTube 6.3 does. No refusal repeats any of the text.
    """
    if not isinstance(pem, str) or len(pem) > MAX_PEM_CHARS:
        return refuse(SignatureReason.BAD_KEY, f"publicKeyPem is no text of up to {MAX_PEM_CHARS} characters")
    if "PRIVATE KEY" in pem:
        return refuse(SignatureReason.PRIVATE_KEY, "publicKeyPem holds a private key")
    text = pem.strip()
    if not text.startswith(_SPKI) or not text.isascii():
        return refuse(SignatureReason.BAD_KEY, "publicKeyPem is not PEM that begins with BEGIN PUBLIC KEY")
    try:
        key = serialization.load_pem_public_key(text.encode("ascii"))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return refuse(SignatureReason.BAD_KEY, "publicKeyPem cannot be read")
    if isinstance(key, Ed25519PublicKey):
        if is_small_order(key.public_bytes_raw()):
            return refuse(SignatureReason.WEAK_KEY, "the Ed25519 key is a point of small order")
        return key
    if not isinstance(key, RSAPublicKey):
        return refuse(SignatureReason.BAD_KEY, "the key is neither RSA nor Ed25519")
    if not minimum_bits <= key.key_size <= _MAX_RSA_BITS:
        return refuse(SignatureReason.WEAK_KEY, f"RSA keys have {minimum_bits} to {_MAX_RSA_BITS} bits")
    exponent = key.public_numbers().e
    if exponent < 3 or exponent % 2 == 0 or exponent > _MAX_EXPONENT:
        return refuse(SignatureReason.WEAK_KEY, "the RSA exponent is not sane")
    return key
