"""Ed25519 public keys as FEP-521a publishes them: Multikey, multicodec ``ed25519-pub``, base58 of Bitcoin. Pure."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from federation.signatures.reasons import SignatureReason, refuse
from foundation.errors import Refused

MAX_CHARS = 100
"""Decoding costs with the square of the length; an Ed25519 key has 48 characters."""
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_BASE58 = "z"
_ED25519_PUB = b"\xed\x01"
_KEY_BYTES = 32


def encode_multikey(key: Ed25519PublicKey) -> str:
    """``publicKeyMultibase`` of a key."""
    number = int.from_bytes(_ED25519_PUB + key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    text = ""
    while number:
        number, value = divmod(number, 58)
        text = _ALPHABET[value] + text
    return _BASE58 + text


def decode_multikey(text: object) -> Ed25519PublicKey | Refused:
    """The key in ``publicKeyMultibase``; ``bad_key`` for every other kind of key and for garbage."""
    if not isinstance(text, str) or len(text) > MAX_CHARS or not text.startswith(_BASE58):
        return refuse(SignatureReason.BAD_KEY, "publicKeyMultibase is no short base58 text")
    number = 0
    for character in text[1:]:
        value = _VALUES.get(character)
        if value is None:
            return refuse(SignatureReason.BAD_KEY, "publicKeyMultibase is no base58")
        number = number * 58 + value
    # Leading zero bytes are "1" each; no key of a known kind begins with one.
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    if raw[:2] != _ED25519_PUB or len(raw) != 2 + _KEY_BYTES or text.startswith(_BASE58 + "1"):
        return refuse(SignatureReason.BAD_KEY, "the key is not Ed25519")
    return Ed25519PublicKey.from_public_bytes(raw[2:])
