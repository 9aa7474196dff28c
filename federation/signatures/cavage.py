"""Reading a ``Signature`` header and rebuilding the text it signs (draft-cavage-http-signatures-12).

The scanner walks the header once from left to right and never looks back, so no input costs more than its length.
"""

from __future__ import annotations

import binascii
import functools
from collections.abc import Iterable

import msgspec

from federation.signatures.model import Headers
from federation.signatures.reasons import SignatureReason, refuse
from foundation.errors import Refused

MAX_HEADER_CHARS = 8192
"""Longest ``Signature`` header looked at; real ones stay below 1 kB."""
REQUEST_TARGET = "(request-target)"
CREATED = "(created)"
EXPIRES = "(expires)"

_SIGNATURE = 'signature="'
_MAX_PARAMS = 16
_MAX_SIGNED_NAMES = 32
_MAX_SIGNATURE_CHARS = 1400  # RSA-8192 is 1 368 characters of base64
_MAX_INTEGER_DIGITS = 12
_PSEUDO = frozenset({REQUEST_TARGET, CREATED, EXPIRES})
_INTEGERS = frozenset({"created", "expires"})
_STRINGS = frozenset({"keyid", "signature", "headers", "algorithm"})
_TOKEN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~")


class SignatureParams(msgspec.Struct, frozen=True):
    """The parameters of one signature.

    ``headers`` are the signed names in lower case and order; None when the parameter is absent. ``created`` and
    ``expires`` are Unix seconds. ``algorithm`` is in lower case. Nothing in here is verified.
    """

    key_id: str
    signature: bytes
    headers: tuple[str, ...] | None
    algorithm: str | None
    created: int | None
    expires: int | None

    @property
    def signed_names(self) -> tuple[str, ...]:
        """What is signed, with the draft's default (section 2.1.6) where ``headers`` is absent."""
        return (CREATED,) if self.headers is None else self.headers


class _Read(msgspec.Struct, frozen=True):
    """As `SignatureParams`; ``value`` is the text of the signature, not decoded yet."""

    key_id: str
    value: str
    headers: tuple[str, ...] | None
    algorithm: str | None
    created: int | None
    expires: int | None


def find_signature(headers: Headers) -> str | Refused | None:
    """The text of the one signature of a request: from ``Signature``, or ``Authorization`` with that scheme.

    None: the request has a ``Signature-Input``, so its ``Signature`` is one of RFC 9421.
    """
    found: str | None = None
    for name, value in headers:
        lowered = name.lower()
        if lowered == "signature":
            text = value.strip(" ")
            if text[:10].lower() == "signature ":
                text = text[10:]
        elif lowered == "authorization" and value[:10].lower() == "signature ":
            text = value[10:]
        elif lowered == "signature-input":
            return None
        else:
            continue
        if found is not None:
            return refuse(SignatureReason.BAD_SIGNATURE_HEADER, "the request carries more than one signature")
        found = text
    if found is None:
        return refuse(SignatureReason.NO_SIGNATURE, "the request is not signed")
    return found


def parse_signature(text: str) -> SignatureParams | Refused:
    """The parameters of a ``Signature`` header, or why it cannot be one.

    Strings have to be quoted and integers must not be; a parameter given twice is refused (section 2.2), an unknown
    one is ignored. There are no escapes: a backslash is refused.
    """
    if len(text) > MAX_HEADER_CHARS:
        return _unreadable("it is too long")
    if not text.isascii() or not text.isprintable() or "\\" in text:
        return _unreadable("it holds characters that no signature needs")
    before, mark, after = text.rpartition(_SIGNATURE)
    if mark and before[-1:] in ("", ",", " ") and after.find('"') == len(after) - 1:
        # A quoted value that ends the header: what stands before it is the same all day, so that is read once.
        read, value = _read_known(f'{before}{mark}"'), after[:-1]
    else:
        read, value = _read(text), None
    if isinstance(read, Refused):
        return read
    signature = _signature_bytes(read.value if value is None else value)
    if not signature:
        return _unreadable("the signature is missing, or not base64")
    return SignatureParams(read.key_id, signature, read.headers, read.algorithm, read.created, read.expires)


def signing_string(params: SignatureParams, method: str, target: str, fields: dict[str, str]) -> bytes | Refused:
    """The text under the signature (section 2.3). ``fields`` come from :func:`joined_fields`."""
    lines = []
    for name in params.signed_names:
        value: str | int | None
        if name == REQUEST_TARGET:
            value = f"{method.lower()} {target}"
        elif name == CREATED:
            value = params.created
        elif name == EXPIRES:
            value = params.expires
        else:
            value = fields.get(name)
        if value is None:
            return refuse(SignatureReason.MISSING_COMPONENT, f"signed, but not in the request: {name}")
        lines.append(f"{name}: {value}")
    try:
        return "\n".join(lines).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return _unreadable("a signed header holds no text")


def joined_fields(headers: Headers, wanted: Iterable[str]) -> dict[str, str]:
    """The wanted fields by lower-case name; one that was sent several times is joined by ``", "`` in order."""
    names = frozenset(wanted)
    fields: dict[str, str] = {}
    for name, value in headers:
        lowered = name.lower()
        if lowered in names:
            text = value.strip(" \t")
            fields[lowered] = f"{fields[lowered]}, {text}" if lowered in fields else text
    return fields


def without_fragment(url: str) -> str:
    """A key id as it is compared: PeerTube 6.3 names the actor alone, others add ``#main-key``."""
    return url.partition("#")[0]


def _scan(text: str) -> dict[str, tuple[str, bool]] | str:
    """Lower-case name to (value, was quoted); or what is wrong."""
    pairs: dict[str, tuple[str, bool]] = {}
    at, length = 0, len(text)
    while True:
        equals = text.find("=", at)
        if equals < 0:
            return "a parameter has no value"
        name = text[at:equals].strip(" ").lower()
        if not name.isalnum():
            return "a parameter has no proper name"
        if name in pairs:
            return f"{name[:20]} is given twice"
        if len(pairs) == _MAX_PARAMS:
            return "it has too many parameters"
        at = equals + 1
        if text.startswith(" ", at):
            at = _after_spaces(text, at)
        if text.startswith('"', at):
            end = text.find('"', at + 1)
            if end < 0:
                return "a quote is not closed"
            pairs[name] = (text[at + 1 : end], True)
            at = end + 1
            if text.startswith(" ", at):
                at = _after_spaces(text, at)
        else:
            end = text.find(",", at)
            end = length if end < 0 else end
            pairs[name] = (text[at:end].rstrip(" "), False)
            at = end
        if at == length:
            return pairs
        if text[at] != ",":
            return "parameters are not separated by commas"
        at += 1


def _after_spaces(text: str, at: int) -> int:
    while text.startswith(" ", at):
        at += 1
    return at


def _read(text: str) -> _Read | Refused:
    pairs = _scan(text)
    return _unreadable(pairs) if isinstance(pairs, str) else _params(pairs)


_read_known = functools.lru_cache(maxsize=256)(_read)


def _params(pairs: dict[str, tuple[str, bool]]) -> _Read | Refused:
    numbers: dict[str, int] = {}
    for name, (value, quoted) in pairs.items():
        if name in _INTEGERS:
            if quoted or not value.isdecimal() or len(value) > _MAX_INTEGER_DIGITS:
                return _unreadable(f"{name} is not a plain number of seconds")
            numbers[name] = int(value)
        elif name in _STRINGS and not quoted:
            return _unreadable(f"{name} is not quoted")
    key_id = pairs.get("keyid", ("", True))[0]
    if not key_id:
        return _unreadable("keyId is missing")
    names = _signed_names(pairs["headers"][0]) if "headers" in pairs else None
    if isinstance(names, str):
        return _unreadable(names)
    algorithm = pairs["algorithm"][0].lower() if "algorithm" in pairs else None
    value = pairs.get("signature", ("", True))[0]
    return _Read(key_id, value, names, algorithm, numbers.get("created"), numbers.get("expires"))


def _signature_bytes(text: str) -> bytes | None:
    if len(text) > _MAX_SIGNATURE_CHARS:
        return None
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None


@functools.lru_cache(maxsize=128)  # peers sign the same few lists all day
def _signed_names(text: str) -> tuple[str, ...] | str:
    names = tuple(text.lower().split(" "))
    if len(names) > _MAX_SIGNED_NAMES:
        return "too many headers are signed"
    if len(set(names)) != len(names):
        return "a header is signed twice"
    for name in names:
        if name not in _PSEUDO and not (name and _TOKEN.issuperset(name)):
            return "headers holds something that is no header name"
    return names


def _unreadable(why: str) -> Refused:
    return refuse(SignatureReason.BAD_SIGNATURE_HEADER, f"the Signature header cannot be used: {why}")
