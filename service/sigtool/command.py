"""``fediviews sigtool canonicalize | sign | verify``: the same code as in the service, for test suites and for an
administrator who wants to know why a signature is refused.

Status 0: done, or the signature is good. 1: it is not, and the reason is on standard output. 2: the call, the key file
or the request cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from federation.keys import RemoteKey, load_public_key
from federation.signatures.cavage import find_signature, joined_fields, parse_signature, signing_string
from federation.signatures.message_signer import PrivateKey
from federation.signatures.model import Profile, PublicKey, Scheme, SignedRequest
from federation.signatures.rfc9421 import parse_message_signature, signature_base
from federation.signatures.verifier import check, inspect
from foundation.clock import SystemClock, iso_ms, parse_iso_ms
from foundation.errors import FediviewsError, Refused
from foundation.urls import parse_host
from service.sigtool.making import Recipe, known_names, prepared, said_algorithm, signed, text_to_sign
from service.sigtool.text import header, parse_request, render_request

REFUSED = 1
MISUSED = 2


def sigtool(arguments: argparse.Namespace, stdin: BinaryIO, stdout: BinaryIO) -> int:
    """Reads the request from ``stdin``, writes what was asked for to ``stdout``."""
    try:
        request = parse_request(stdin.read())
        origin, now_ms = _origin(arguments.origin, request), _now_ms(arguments.now)
        match arguments.action:
            case "verify":
                return _verify(
                    request, _public_key(arguments.key), Profile(_own(origin), origin=origin), now_ms, stdout
                )
            case "canonicalize" if header(request.headers, "signature") is not None:
                return _said(_signed_text(request, origin), stdout)
        return _make(request, arguments, origin, now_ms, stdout)
    except FediviewsError as problem:
        print(f"sigtool: {problem}", file=sys.stderr)
        return MISUSED


def _make(request: SignedRequest, arguments: argparse.Namespace, origin: str, now_ms: int, stdout: BinaryIO) -> int:
    """Sign an unsigned request, or show what would be signed."""
    scheme = Scheme(arguments.scheme or Scheme.CAVAGE)
    names = None if arguments.covers is None else tuple(arguments.covers.split())
    problem = None if names is None else known_names(scheme, names)
    if problem is not None:
        raise FediviewsError(problem)
    key = None if arguments.action == "canonicalize" and arguments.key is None else _private_key(arguments.key)
    named = None if key is None or arguments.no_algorithm else said_algorithm(scheme, key)
    if not arguments.key_id.isascii() or '"' in arguments.key_id or (not arguments.key_id and key is not None):
        raise FediviewsError("--key-id is missing, or no URL")
    recipe = Recipe(scheme, arguments.key_id, now_ms, origin, named, names)
    ready, covered = prepared(request, recipe)
    text = text_to_sign(ready, covered, recipe)
    if isinstance(text, Refused) or key is None or arguments.action == "canonicalize":
        return _said(text, stdout)
    headers = signed(ready, covered, recipe, text, key)
    stdout.write(render_request(SignedRequest(ready.method, ready.path, headers, ready.body)))
    return 0


def _signed_text(request: SignedRequest, origin: str) -> bytes | Refused:
    """What the signature of a signed request is over."""
    found = find_signature(request.headers)
    if isinstance(found, Refused):
        return found
    if found is None:
        message = parse_message_signature(request.headers)
        if isinstance(message, Refused):
            return message
        return signature_base(message, request, origin, joined_fields(request.headers, message.components))
    params = parse_signature(found)
    if isinstance(params, Refused):
        return params
    fields = joined_fields(request.headers, params.signed_names)
    return signing_string(params, request.method, request.path, fields)


def _verify(request: SignedRequest, key: PublicKey, profile: Profile, now_ms: int, stdout: BinaryIO) -> int:
    inspected = inspect(request, profile, now_ms)
    if isinstance(inspected, Refused):
        return _said(inspected, stdout)
    verdict = check(inspected, RemoteKey(inspected.key_id, inspected.key_id, "", key))
    if isinstance(verdict, Refused):
        return _said(verdict, stdout)
    text = f"verified scheme={inspected.scheme} key={verdict.key_id} signed={iso_ms(verdict.signed_date_ms)}\n"
    stdout.write(text.encode("ascii", "backslashreplace"))
    return 0


def _said(said: bytes | Refused, stdout: BinaryIO) -> int:
    """A text as it is, or a refusal in one line."""
    if isinstance(said, Refused):
        stdout.write(f"refused {said.reason}: {said.detail}\n".encode("ascii", "backslashreplace"))
        return REFUSED
    stdout.write(said)
    return 0


def _own(origin: str) -> frozenset[str]:
    return frozenset({origin.partition("://")[2]})


def _origin(text: str | None, request: SignedRequest) -> str:
    scheme, slashes, host = (text or f"https://{header(request.headers, 'host') or ''}").partition("://")
    if scheme not in ("https", "http") or not slashes:
        raise FediviewsError("--origin is not like https://tube.example")
    try:
        return f"{scheme}://{parse_host(host, scheme=scheme)}"
    except ValueError:
        raise FediviewsError("neither Host nor --origin names a host") from None


def _now_ms(text: str | None) -> int:
    if text is None:
        return SystemClock().now_ms()
    if text.isdecimal() and len(text) <= 12:
        return int(text) * 1000
    now_ms = parse_iso_ms(text)
    if now_ms is None:
        raise FediviewsError("--now is neither an instant with a zone nor Unix seconds")
    return now_ms


def _read(path: Path | None) -> bytes:
    if path is None:
        raise FediviewsError("--key is missing")
    try:
        return path.read_bytes()[:100_000]
    except OSError as problem:
        raise FediviewsError(f"{path} cannot be read: {problem.strerror}") from None


def _private_key(path: Path | None) -> PrivateKey:
    try:
        key = load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise FediviewsError(f"{path} is not an unencrypted PEM private key") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise FediviewsError(f"{path} is neither RSA nor Ed25519")
    return key


def _public_key(path: Path | None) -> PublicKey:
    pem = _read(path)
    if b"PRIVATE KEY" in pem:
        return _private_key(path).public_key()
    key = load_public_key(pem.decode("ascii", "replace"))
    if isinstance(key, Refused):
        raise FediviewsError(f"{path}: {key.detail}")
    return key
