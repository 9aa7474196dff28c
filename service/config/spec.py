"""How one key of the configuration is written: markers for ``Annotated`` in ``model.py``, read by ``load.py``.

A marker turns the text of a scalar into a value and says what it accepts. Errors are ``ValueError`` sentences.
"""

from __future__ import annotations

import difflib
import enum
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from foundation.clock import parse_iso_ms
from service.config.tree import Plain
from service.config.values import (
    LONGEST_DURATION_MS,
    NEVER,
    Secret,
    format_duration,
    parse_duration,
)


class ScalarSpec(Protocol):
    """One way to write a scalar."""

    @property
    def accepts(self) -> frozenset[Plain]:
        """Which unquoted forms may stand here; another one is an ill-typed value."""

    @property
    def secret(self) -> bool:
        """Whether a file it is read from must be closed to other users."""

    @property
    def expects(self) -> str:
        """The type in words, for the message about an ill-typed value."""

    def parse(self, text: str) -> object:
        """The value; raises ValueError."""


_ANY_WORD = frozenset({Plain.TEXT, Plain.NUMBER, Plain.BOOLEAN})


@dataclass(frozen=True)
class Whole:
    """A whole number within bounds (both inclusive)."""

    low: int = 0
    high: int = 2**53
    accepts = frozenset({Plain.NUMBER})
    secret = False
    expects = "a whole number"

    def parse(self, text: str) -> int:
        if re.fullmatch(r"-?(0|[1-9][0-9_]{0,19})", text) is None:
            raise ValueError("is not a whole number")
        number = int(text.replace("_", ""))
        if not self.low <= number <= self.high:
            raise ValueError(f"is out of range: {self.low} to {self.high}")
        return number


@dataclass(frozen=True)
class Decimal:
    """A number with or without a fraction, within bounds (both inclusive)."""

    low: float
    high: float
    accepts = frozenset({Plain.NUMBER})
    secret = False
    expects = "a number"

    def parse(self, text: str) -> float:
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) is None:
            raise ValueError("is not a number")
        number = float(text)
        if not self.low <= number <= self.high:
            raise ValueError(f"is out of range: {self.low} to {self.high}")
        return number


@dataclass(frozen=True)
class Switch:
    """true or false (YAML's yes/no and on/off too)."""

    accepts = frozenset({Plain.BOOLEAN})
    secret = False
    expects = "true or false"

    def parse(self, text: str) -> bool:
        word = text.lower()
        if word in ("true", "yes", "on"):
            return True
        if word in ("false", "no", "off"):
            return False
        raise ValueError("is neither true nor false")


@dataclass(frozen=True)
class Text:
    """A text of bounded length, printable, optionally of one shape (``pattern``, said in words by ``shape``)."""

    longest: int = 500
    pattern: str | None = None
    shape: str = ""
    lines: bool = False
    accepts = frozenset({Plain.TEXT})
    secret = False
    expects = "a text"

    def parse(self, text: str) -> str:
        if not text.strip():
            raise ValueError("is empty")
        if len(text) > self.longest:
            raise ValueError(f"is longer than {self.longest} characters")
        if not (text.replace("\n", " ").replace("\t", " ") if self.lines else text).isprintable():
            raise ValueError("holds a character that cannot be printed")
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            raise ValueError(f"is not {self.shape}")
        return text


@dataclass(frozen=True)
class SecretText:
    """A secret: env:NAME, file:PATH or, less wisely, the text itself. Visible ASCII without blanks."""

    shortest: int = 1
    longest: int = 4096
    accepts = _ANY_WORD
    secret = True
    expects = "a secret"

    def parse(self, text: str) -> Secret:
        if not text:
            raise ValueError("is empty")
        if not self.shortest <= len(text) <= self.longest or re.fullmatch(r"[!-~]+", text) is None:
            raise ValueError(
                f"is not usable: {self.shortest} to {self.longest} visible ASCII characters without blanks are taken"
            )
        return Secret(text)


@dataclass(frozen=True)
class Duration:
    """A duration with its unit -> milliseconds; the key is the field's name without ``_ms``.

    ``never`` allows that word (None). ``seconds`` allows a bare number of seconds, where the contract has one.
    """

    low: str = "1ms"
    high: str = format_duration(LONGEST_DURATION_MS)
    never: bool = False
    seconds: bool = False
    accepts = _ANY_WORD
    secret = False
    expects = "a duration"

    def parse(self, text: str) -> int | None:
        if text == NEVER:
            if self.never:
                return None
            raise ValueError('cannot be "never"')
        if self.seconds and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
            text += "s"
        duration_ms = parse_duration(text)
        if not parse_duration(self.low) <= duration_ms <= parse_duration(self.high):
            raise ValueError(f"is out of range: {self.low} to {self.high}")
        return duration_ms


@dataclass(frozen=True)
class Parsed:
    """Whatever ``how`` makes of the text; ``never`` allows that word (None), ``high`` bounds a number.
    ``quoted`` False: what is written may hold a password, so no message repeats it."""

    how: Callable[[str], object]
    expects: str
    never: bool = False
    low: int | None = None
    high: int | None = None
    quoted: bool = True
    accepts = _ANY_WORD
    secret = False

    def parse(self, text: str) -> object:
        if self.never and text == NEVER:
            return None
        value = self.how(text)
        if isinstance(value, int) and not (self.low or 0) <= value <= (value if self.high is None else self.high):
            raise ValueError(f"is out of range: {self.low or 0} to {self.high}")
        return value


@dataclass(frozen=True)
class Closed:
    """One word out of an Enum; what a plain Enum annotation means."""

    members: type[enum.Enum]
    accepts = _ANY_WORD
    secret = False
    expects = "a word"

    def parse(self, text: str) -> enum.Enum:
        words = [str(member.value) for member in self.members]
        if text in words:
            return self.members(text)
        near = difflib.get_close_matches(text.lower(), words, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"is not one of {', '.join(words)}{hint}")


@dataclass(frozen=True)
class Key:
    """The name a key has in the file where it is not the field's."""

    name: str


@dataclass(frozen=True)
class Table:
    """A mapping of free keys, read as a tuple of two-field structs (key, value). Marks the tuple, not a scalar."""


def parse_uuid(text: str) -> str:
    """The canonical form of a UUID: lower case, with hyphens (RFC 9562)."""
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text) is None:
        raise ValueError("is not a UUID, as in 9c9de5e8-0a1e-484a-b099-e80766180a6d")
    return str(uuid.UUID(text))


def parse_instant(text: str) -> int:
    """Unix milliseconds of an ISO 8601 instant that names its zone."""
    instant_ms = parse_iso_ms(text)
    if instant_ms is None:
        raise ValueError("is not an instant with a zone, as in 2026-01-31T20:00:00Z")
    return instant_ms


def parse_public_key(text: str) -> str:
    """The PEM text of an RSA or Ed25519 public key (SubjectPublicKeyInfo); its strength is checked elsewhere."""
    if "PRIVATE KEY" in text:
        raise ValueError("is a private key: only the public half belongs here")
    if len(text) > 16_384:
        raise ValueError("is too long for a public key")
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a public key in PEM form (-----BEGIN PUBLIC KEY-----)") from None
    if not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise ValueError("is of a kind not taken: use RSA or Ed25519")
    return text.strip() + "\n"


def public_key_bits(pem: str) -> int | None:
    """The size of an RSA key; None for a key whose strength does not depend on its size."""
    key = load_pem_public_key(pem.encode())
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else None
