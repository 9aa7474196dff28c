"""``Digest`` (RFC 3230, with the SHA-2 names of RFC 5843) and ``Content-Digest`` (RFC 9530) over a body's raw bytes."""

from __future__ import annotations

import binascii
import hashlib
from typing import Any

import http_sf

from federation.signatures.reasons import SignatureReason, refuse
from foundation.errors import Refused

_MAX_CHARS = 1024
_SHA256_BYTES = 32


def sha256_digest(body: bytes) -> str:
    """The value to send: exactly ``SHA-256=<base64>``, because PeerTube 6.3 compares it as one string."""
    return "SHA-256=" + _base64(hashlib.sha256(body).digest())


def check_digest(value: str, body: bytes) -> Refused | None:
    """None when the header vouches for the body.

    Several values may be listed; one must be SHA-256, and every SHA-256 and SHA-512 among them must be right. Other
    hashes are passed over and prove nothing. Names are compared without case.
    """
    if value == sha256_digest(body):
        return None
    if len(value) > _MAX_CHARS:
        return refuse(SignatureReason.BAD_DIGEST, "the Digest header is too long")
    vouched = False
    for item in value.split(","):
        name, equals, text = item.strip(" ").partition("=")
        if not equals:
            return refuse(SignatureReason.BAD_DIGEST, "the Digest header cannot be read")
        match name.lower():
            case "sha-256":
                claimed = _decoded(text)
                if claimed is None or len(claimed) != _SHA256_BYTES:
                    return refuse(SignatureReason.BAD_DIGEST, "the SHA-256 digest is not 32 bytes of base64")
                if claimed != hashlib.sha256(body).digest():
                    return refuse(SignatureReason.BAD_DIGEST, "the SHA-256 digest is of another body")
                vouched = True
            case "sha-512":
                if _decoded(text) != hashlib.sha512(body).digest():
                    return refuse(SignatureReason.BAD_DIGEST, "the SHA-512 digest is of another body")
    if not vouched:
        return refuse(SignatureReason.BAD_DIGEST, "the Digest header holds no SHA-256 value")
    return None


def content_digest(body: bytes) -> str:
    """The value of ``Content-Digest`` to send."""
    return f"sha-256=:{_base64(hashlib.sha256(body).digest())}:"


def check_content_digest(value: str, body: bytes) -> Refused | None:
    """As :func:`check_digest`, for ``Content-Digest``; here SHA-512 alone will do."""
    if value == content_digest(body):
        return None
    if len(value) > _MAX_CHARS:
        return refuse(SignatureReason.BAD_DIGEST, "the Content-Digest header is too long")
    try:
        members: Any = http_sf.parse(value.encode("ascii"), tltype="dictionary", on_duplicate_key=_no_duplicates)
    except (ValueError, OverflowError):
        return refuse(SignatureReason.BAD_DIGEST, "the Content-Digest header cannot be read")
    vouched = False
    for name, make in (("sha-256", hashlib.sha256), ("sha-512", hashlib.sha512)):
        if name in members:
            if members[name][0] != make(body).digest():
                return refuse(SignatureReason.BAD_DIGEST, f"the {name} digest is of another body, or of none")
            vouched = True
    if not vouched:
        return refuse(SignatureReason.BAD_DIGEST, "the Content-Digest header holds neither sha-256 nor sha-512")
    return None


def _no_duplicates(key: str, context: str) -> None:
    raise ValueError(f"{key} is given twice")


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def _decoded(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
