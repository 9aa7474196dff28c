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
_PRIME = 2**255 - 19
_Y_BITS = 2**255 - 1
_Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER = frozenset({0, 1, _PRIME - 1, _Y_OF_ORDER_8, _PRIME - _Y_OF_ORDER_8})
"""The y of the points whose order divides 8, the cofactor (RFC 8032, section 5.1), their encodings above p included."""


def encode_multikey(key: Ed25519PublicKey) -> str:
    """``publicKeyMultibase`` of a key."""
    number = int.from_bytes(_ED25519_PUB + key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    text = ""
    while number:
        number, value = divmod(number, 58)
        text = _ALPHABET[value] + text
    return _BASE58 + text


def decode_multikey(text: object) -> Ed25519PublicKey | Refused:
    """The key in ``publicKeyMultibase``; ``weak_key`` for a point of small order, ``bad_key`` for whatever is no
    Ed25519 key."""
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
    if is_small_order(raw[2:]):
        return refuse(SignatureReason.WEAK_KEY, "the Ed25519 key is a point of small order")
    return Ed25519PublicKey.from_public_bytes(raw[2:])


def is_small_order(raw: bytes) -> bool:
    """Whether the raw key is one of the points under which some signatures hold for many messages: it is nobody's."""
    return (int.from_bytes(raw, "little") & _Y_BITS) % _PRIME in _SMALL_ORDER
