"""Reading HTTP Message Signatures (RFC 9421) and rebuilding the text they sign.

Parsing and writing of structured fields is ``http_sf``'s, which walks a field once; what may be signed, and by what, is
decided here. Neither ``alg`` nor any other parameter chooses a key's algorithm: see ``federation.signatures.verifier``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import http_sf
import msgspec

from federation.signatures.cavage import joined_fields
from federation.signatures.digest import check_content_digest
from federation.signatures.freshness import created_ms, dated_ms, expired, wrong_host
from federation.signatures.model import Headers, Inspected, Profile, Scheme, SignedRequest
from federation.signatures.reasons import SignatureReason, refuse
from foundation.errors import Refused

MAX_FIELD_CHARS = 8192
"""Longest ``Signature-Input`` and ``Signature`` looked at; real ones stay below 1 kB."""

_MAX_COMPONENTS = 32
_MAX_SIGNATURE_BYTES = 1024  # RSA-8192
_MAX_SECONDS = 10**12
_BODILESS = frozenset({"GET", "HEAD"})
_CHECKED_FIELDS = frozenset({"host", "date", "content-digest"})
_TOKEN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~")
_SIGNATURE_FIELDS = frozenset({"signature-input", "signature"})


class MessageSignature(msgspec.Struct, frozen=True):
    """One signature as its two fields say it. Nothing in here is verified.

    ``components`` are the names that are signed, in order; ``params`` is the text of ``@signature-params``. ``created``
    and ``expires`` are Unix seconds.
    """

    key_id: str
    signature: bytes
    components: tuple[str, ...]
    params: str
    algorithm: str | None
    created: int | None
    expires: int | None


def parse_message_signature(headers: Headers) -> MessageSignature | Refused:
    """The one signature of a request, out of ``Signature-Input`` and ``Signature`` (section 4).

    Component parameters (``;sf``, ``;bs``, ``;key``, ``;req``, ``;tr``) are refused: nobody in the fediverse signs with
    them. Unknown parameters of the signature are ignored, but stay signed.
    """
    fields = joined_fields(headers, _SIGNATURE_FIELDS)
    inputs, signatures = _dictionary(fields.get("signature-input")), _dictionary(fields.get("signature"))
    if isinstance(inputs, str) or isinstance(signatures, str):
        return _unreadable(inputs if isinstance(inputs, str) else str(signatures))
    if len(inputs) != 1 or inputs.keys() != signatures.keys():
        return _unreadable("it is not one signature under one label")
    ((items, params),), ((signature, _),) = inputs.values(), signatures.values()
    if not isinstance(signature, bytes) or not 0 < len(signature) <= _MAX_SIGNATURE_BYTES:
        return _unreadable("the signature is no byte sequence, or too long")
    if not isinstance(items, list):
        return _unreadable("what is signed is no list")
    return _described(items, params, signature)


def inspect_message(request: SignedRequest, profile: Profile, now_ms: int) -> Inspected | Refused:
    """As :func:`federation.signatures.verifier.inspect`, for a request with ``Signature-Input``."""
    signature = parse_message_signature(request.headers)
    if isinstance(signature, Refused):
        return signature
    names = signature.components
    fields = joined_fields(request.headers, _CHECKED_FIELDS.union(names))
    bodiless = request.method in _BODILESS and not request.body
    refusal = (
        _missing(signature, bodiless=bodiless, query="?" in request.path)
        or wrong_host(fields.get("host"), profile)
        or _wrong_digest(names, fields.get("content-digest"), request.body)
    )
    if refusal is not None:
        return refusal
    signed_ms = _fresh(signature, fields.get("date"), profile, now_ms)
    if isinstance(signed_ms, Refused):
        return signed_ms
    text = signature_base(signature, request, profile.own_origin, fields)
    if isinstance(text, Refused):
        return text
    return Inspected(
        signature.key_id, signature.signature, signature.algorithm, signed_ms, (text,), profile, Scheme.RFC9421
    )


def signature_base(
    signature: MessageSignature, request: SignedRequest, origin: str, fields: dict[str, str]
) -> bytes | Refused:
    """The text under the signature (section 2.5).

    ``origin`` is ours as others know it; ``fields`` come from :func:`federation.signatures.cavage.joined_fields`.
    """
    if not request.path.startswith("/"):
        return refuse(SignatureReason.MISSING_COMPONENT, "the request target is no path")
    lines = []
    for name in signature.components:
        value = _DERIVED[name](request, origin) if name.startswith("@") else fields.get(name)
        if value is None:
            return refuse(SignatureReason.MISSING_COMPONENT, f"signed, but not in the request: {name}")
        if "\n" in value or "\r" in value:
            return _unreadable("a signed header has several lines")
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {signature.params}')
    try:
        return "\n".join(lines).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _unreadable("a signed header holds no text")


def _dictionary(text: str | None) -> dict[str, Any] | str:
    """The members of a structured field, or what is wrong with it."""
    if text is None:
        return "Signature-Input or Signature is missing"
    if len(text) > MAX_FIELD_CHARS:
        return "it is too long"
    try:
        members: Any = http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=_no_duplicates)
    except (ValueError, OverflowError):  # the latter for an sf-date beyond the calendar
        return "it is no structured field, or says something twice"
    return dict(members)


def _no_duplicates(key: str, context: str) -> None:
    raise ValueError(f"{key} is given twice")


def _described(items: list[Any], params: dict[str, Any], signature: bytes) -> MessageSignature | Refused:
    if len(items) > _MAX_COMPONENTS:
        return _unreadable("too much is signed")
    names = []
    for name, item_params in items:
        if not isinstance(name, str) or item_params:
            return _unreadable("it signs something that is not a name without parameters")
        if not (name in _DERIVED if name.startswith("@") else name and _TOKEN.issuperset(name)):
            return _unreadable("it signs something that no request has")
        names.append(name)
    if len(set(names)) != len(names):
        return _unreadable("a component is signed twice")
    for name in ("created", "expires"):
        seconds = params.get(name, 0)
        if type(seconds) is not int or not 0 <= seconds < _MAX_SECONDS:
            return _unreadable(f"{name} is not a plain number of seconds")
    key_id, algorithm = params.get("keyid"), params.get("alg")
    if not isinstance(key_id, str) or not key_id:
        return _unreadable("keyid is missing, or no string")
    if not isinstance(algorithm, str | None):
        return _unreadable("alg is no string")
    return MessageSignature(
        key_id=key_id,
        signature=signature,
        components=tuple(names),
        params=http_sf.ser([(items, params)]),
        algorithm=algorithm,
        created=params.get("created"),
        expires=params.get("expires"),
    )


def _missing(signature: MessageSignature, *, bodiless: bool, query: bool) -> Refused | None:
    names = signature.components
    if "@method" not in names:
        return refuse(SignatureReason.MISSING_COMPONENT, "@method is not signed")
    path = "@request-target" in names or ("@path" in names and ("@query" in names or not query))
    if "@target-uri" not in names and not ("@authority" in names and path):
        return refuse(SignatureReason.MISSING_COMPONENT, "neither @target-uri nor @authority with @path is signed")
    if signature.created is None:
        return refuse(SignatureReason.NO_DATE, "created is not given")
    if not bodiless and "content-digest" not in names:
        return refuse(SignatureReason.NO_DIGEST, "content-digest is not signed")
    return None


def _wrong_digest(names: tuple[str, ...], digest: str | None, body: bytes) -> Refused | None:
    if "content-digest" not in names:
        return None
    if digest is None:
        return refuse(SignatureReason.NO_DIGEST, "the Content-Digest header is missing")
    return check_content_digest(digest, body)


def _fresh(signature: MessageSignature, date: str | None, profile: Profile, now_ms: int) -> int | Refused:
    """When it was signed, Unix milliseconds. A ``date`` that is signed too has to be fresh as well."""
    signed_ms = created_ms(signature.created, profile, now_ms)
    if isinstance(signed_ms, int) and "date" in signature.components:
        dated = dated_ms(date, profile, now_ms)
        if isinstance(dated, Refused):
            return dated
    return expired(signature.expires, now_ms) or signed_ms


def _target_uri(request: SignedRequest, origin: str) -> str:
    return origin + request.path


def _authority(request: SignedRequest, origin: str) -> str:
    return origin.partition("://")[2]


def _scheme(request: SignedRequest, origin: str) -> str:
    return origin.partition("://")[0]


def _path(request: SignedRequest, origin: str) -> str:
    return request.path.partition("?")[0]


def _query(request: SignedRequest, origin: str) -> str:
    return "?" + request.path.partition("?")[2]


_DERIVED: Mapping[str, Callable[[SignedRequest, str], str]] = {
    "@method": lambda request, origin: request.method,
    "@target-uri": _target_uri,
    "@authority": _authority,
    "@scheme": _scheme,
    "@request-target": lambda request, origin: request.path,
    "@path": _path,
    "@query": _query,
}
"""Section 2.2, but for what a request has not (``@status``) and what needs parameters (``@query-param``)."""


def _unreadable(why: str) -> Refused:
    return refuse(SignatureReason.BAD_SIGNATURE_HEADER, f"the message signature cannot be used: {why}")
