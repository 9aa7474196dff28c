"""HTTP Message Signatures (RFC 9421) made by hand, so that every part can be wrong."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

SIGNED = ("@method", "@target-uri", "content-digest")
INPUT = "sig1={components};{created};{key_id};{alg}"
SIGNATURE = "sig1=:{signature}:"
Key = RSAPrivateKey | Ed25519PrivateKey


def content_digest(body: bytes, name: str = "sha-256") -> str:
    raw = hashlib.new(name.replace("-", ""), body).digest()
    return f"{name}=:{base64.b64encode(raw).decode()}:"


def listed(names: Sequence[str]) -> str:
    """An inner list of component names; a name that begins with a quote stands as it is."""
    return "(" + " ".join(name if name.startswith('"') else f'"{name}"' for name in names) + ")"


def sign_by(key: Key) -> Callable[[bytes], bytes]:
    return key.sign if isinstance(key, Ed25519PrivateKey) else lambda text: key.sign(text, PKCS1v15(), SHA256())


def message_headers(
    *,
    method: str,
    url: str,
    fields: Mapping[str, str],
    key_id: str,
    created_s: object,
    sign: Callable[[bytes], bytes],
    names: Sequence[str] = SIGNED,
    alg: str = "rsa-v1_5-sha256",
    signature_input: str = INPUT,
    signature: str = SIGNATURE,
    values: Mapping[str, str] | None = None,
    params: str | None = None,
) -> dict[str, str]:
    """``Signature-Input`` and ``Signature``. ``signature_input`` and ``signature`` are what goes out, with the usual
    parts where they are named; ``values`` are what components stand for in the signed text, ``params`` what
    ``@signature-params`` does."""
    origin, _, rest = url.partition("://")[2].partition("/")
    target = f"/{rest}"
    known = {
        "@method": method,
        "@target-uri": url,
        "@authority": origin,
        "@scheme": url.partition("://")[0],
        "@request-target": target,
        "@path": target.partition("?")[0],
        "@query": "?" + target.partition("?")[2],
        **{name.lower(): value for name, value in fields.items()},
        **(values or {}),
    }
    described = signature_input.format(
        components=listed(names), created=f"created={created_s}", key_id=f'keyid="{key_id}"', alg=f'alg="{alg}"'
    )
    lines = [f'"{name}": {known.get(name, "")}' for name in names]
    lines.append(f'"@signature-params": {described.partition("=")[2] if params is None else params}')
    made = base64.b64encode(sign("\n".join(lines).encode())).decode()
    return {"Signature-Input": described, "Signature": signature.format(signature=made)}
