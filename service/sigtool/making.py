"""Signing any request by either scheme and any list of names; the service's own signers sign one list each."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from federation.signatures.cavage import CREATED, EXPIRES, REQUEST_TARGET, SignatureParams, joined_fields
from federation.signatures.cavage import signing_string as cavage_text
from federation.signatures.digest import content_digest, sha256_digest
from federation.signatures.message_signer import LABEL, PrivateKey, algorithm_of, sign_text, signature_params
from federation.signatures.model import Headers, Scheme, SignedRequest
from federation.signatures.rfc9421 import MessageSignature, signature_base
from foundation.errors import Refused
from foundation.httpdate import format_http_date
from service.sigtool.text import header

_BODILESS = ("GET", "HEAD")
_DEFAULTS = {
    Scheme.CAVAGE: ("(request-target)", "host", "date", "digest"),
    Scheme.RFC9421: ("@method", "@target-uri", "content-digest"),
}
_DIGESTS = ("digest", "content-digest")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to sign: ``names`` None is what the service signs; ``algorithm`` None says none. ``now_ms`` dates it."""

    scheme: Scheme
    key_id: str
    now_ms: int
    origin: str
    algorithm: str | None
    names: tuple[str, ...] | None = None


def said_algorithm(scheme: Scheme, key: PrivateKey) -> str:
    """What the parameter says of a key in a scheme."""
    if scheme is Scheme.RFC9421:
        return algorithm_of(key)
    return "ed25519" if isinstance(key, Ed25519PrivateKey) else "rsa-sha256"


def prepared(request: SignedRequest, recipe: Recipe) -> tuple[SignedRequest, tuple[str, ...]]:
    """The request with what is to be signed in it, and the names of that.

    Host, Date and a digest are added where they are missing; an older signature is taken out.
    """
    bodiless = request.method in _BODILESS and not request.body
    names = recipe.names
    if names is None:
        names = tuple(name for name in _DEFAULTS[recipe.scheme] if not (bodiless and name in _DIGESTS))
    headers = [pair for pair in request.headers if pair[0].lower() not in ("signature", "signature-input")]
    make: dict[str, Callable[[], str]] = {
        "host": lambda: recipe.origin.partition("://")[2],
        "date": lambda: format_http_date(recipe.now_ms),
        "digest": lambda: sha256_digest(request.body),
        "content-digest": lambda: content_digest(request.body),
    }
    for name, value in make.items():
        if name in names and header(headers, name) is None:
            headers.append((name.title(), value()))
    return SignedRequest(request.method, request.path, tuple(headers), request.body), names


def text_to_sign(request: SignedRequest, names: tuple[str, ...], recipe: Recipe) -> bytes | Refused:
    """What the signature of a prepared request is over."""
    fields = joined_fields(request.headers, names)
    created_s = recipe.now_ms // 1000
    if recipe.scheme is Scheme.CAVAGE:
        params = SignatureParams(recipe.key_id, b"", names, recipe.algorithm, created_s, None)
        return cavage_text(params, request.method, request.path, fields)
    written = signature_params(names, created_s, recipe.key_id, recipe.algorithm)
    signature = MessageSignature(recipe.key_id, b"", names, written, recipe.algorithm, created_s, None)
    return signature_base(signature, request, recipe.origin, fields)


def signed(request: SignedRequest, names: tuple[str, ...], recipe: Recipe, text: bytes, key: PrivateKey) -> Headers:
    """The headers of the request with the signature of ``text`` in them."""
    made = base64.b64encode(sign_text(text, key)).decode("ascii")
    created_s = recipe.now_ms // 1000
    if recipe.scheme is Scheme.RFC9421:
        params = signature_params(names, created_s, recipe.key_id, recipe.algorithm)
        return [*request.headers, ("Signature-Input", f"{LABEL}={params}"), ("Signature", f"{LABEL}=:{made}:")]
    parts = [f'keyId="{recipe.key_id}"']
    if recipe.algorithm is not None:
        parts.append(f'algorithm="{recipe.algorithm}"')
    if CREATED in names:
        parts.append(f"created={created_s}")
    parts += [f'headers="{" ".join(names)}"', f'signature="{made}"']
    return [*request.headers, ("Signature", ",".join(parts))]


def known_names(scheme: Scheme, names: tuple[str, ...]) -> str | None:
    """What is wrong with a list of names, in words; None when it can be signed."""
    if len(set(names)) != len(names):
        return "a name is listed twice"
    for name in names:
        special = (REQUEST_TARGET, CREATED) if scheme is Scheme.CAVAGE else ()
        derived = scheme is Scheme.RFC9421 and name.startswith("@")
        if name == EXPIRES or not (name in special or derived or name.replace("-", "").isalnum()):
            return f"{name} cannot be signed in this scheme"
    return None
