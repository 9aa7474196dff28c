"""Signing what we send by RFC 9421, for peers that want it: RSA with SHA-256, or Ed25519.

What is signed is what Mastodon and Fedify ask for: ``@method``, ``@target-uri``, ``content-digest`` of a body, and
``created``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import http_sf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from http_sf.types import ItemType, ParamsType

from federation.signatures.digest import content_digest
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.httpdate import format_http_date
from foundation.urls import parse_url

PrivateKey = RSAPrivateKey | Ed25519PrivateKey

LABEL = "sig1"
_PADDING = PKCS1v15()
_HASH = SHA256()


class MessageSigner:
    """Signs requests with one key, as :class:`federation.signatures.signer.Signer` does; usable from several threads.

    ``key_id`` is visible ASCII, as URLs are; ValueError otherwise.
    """

    def __init__(self, key_id: str, private_key: PrivateKey) -> None:
        self.key_id = key_id
        self._key = private_key
        self._algorithm = algorithm_of(private_key)

    def sign_headers(self, method: str, url: str, body: bytes, now_ms: int) -> dict[str, str]:
        """``Host``, ``Date``, ``Signature-Input``, ``Signature``, and ``Content-Digest`` when there is a body (a POST
        always has one). ValueError for a URL that is none."""
        target = parse_url(url)
        if isinstance(target, Refused):
            raise ValueError(f"cannot sign a request to this URL: {target.detail}")
        method = method.upper()
        headers = {"Host": target.authority, "Date": format_http_date(now_ms)}
        names = ["@method", "@target-uri"]
        lines = [f'"@method": {method}', f'"@target-uri": {target.scheme}://{target.authority}{target.target}']
        if body or method not in ("GET", "HEAD"):
            headers["Content-Digest"] = digest = content_digest(body)
            names.append("content-digest")
            lines.append(f'"content-digest": {digest}')
        params = signature_params(names, now_ms // 1000, self.key_id, self._algorithm)
        lines.append(f'"@signature-params": {params}')
        signature = sign_text("\n".join(lines).encode("ascii"), self._key)
        headers["Signature-Input"] = f"{LABEL}={params}"
        headers["Signature"] = f"{LABEL}=:{base64.b64encode(signature).decode('ascii')}:"
        return headers

    def at(self, clock: Clock) -> _At:
        """This signer with its time taken from a clock, in the form an HTTP client asks for."""
        return _At(self, clock)


class _At:
    def __init__(self, signer: MessageSigner, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock

    def __call__(self, method: str, url: str, body: bytes) -> dict[str, str]:
        return self._signer.sign_headers(method, url, body, self._clock.now_ms())


def algorithm_of(key: PrivateKey) -> str:
    """What ``alg`` says of signatures by this key (RFC 9421, section 6.2.2)."""
    return "ed25519" if isinstance(key, Ed25519PrivateKey) else "rsa-v1_5-sha256"


def signature_params(names: Sequence[str], created_s: int, key_id: str, algorithm: str | None = None) -> str:
    """The text of ``@signature-params``; ValueError for what cannot be written in one."""
    items: list[ItemType] = [(name, {}) for name in names]
    params: ParamsType = {"created": created_s, "keyid": key_id}
    if algorithm is not None:
        params["alg"] = algorithm
    return http_sf.ser([(items, params)])


def sign_text(text: bytes, key: PrivateKey) -> bytes:
    """The signature of a base string, by the one algorithm that we sign with for keys of this type."""
    return key.sign(text) if isinstance(key, Ed25519PrivateKey) else key.sign(text, _PADDING, _HASH)
