"""JSON read strictly: what two readers could understand differently is refused (RFC 8259, I-JSON RFC 7493)."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from foundation.errors import Refused

MAX_DEPTH = 32
"""Nesting beyond which a body is refused; a PeerTube Video, the deepest thing we read, has 6."""

MAX_DIGITS = 20
"""Digits of an integer; anything longer is an attack on the conversion, not a number of viewers."""


class _UnacceptableError(ValueError):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _integer(text: str) -> int:
    if text == "-0":
        raise _UnacceptableError("bad_number", "negative zero")
    if len(text) - (text[0] == "-") > MAX_DIGITS:
        raise _UnacceptableError("bad_number", f"an integer of more than {MAX_DIGITS} digits")
    return int(text)


def _float(text: str) -> float:
    if len(text) > 64:
        raise _UnacceptableError("bad_number", "a number of more than 64 characters")
    value = float(text)
    if value in (float("inf"), float("-inf")) or (value == 0 and text[0] == "-"):
        raise _UnacceptableError("bad_number", "a number out of range, or negative zero")
    return value


def _constant(text: str) -> NoReturn:
    raise _UnacceptableError("bad_number", "NaN and Infinity are not JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _UnacceptableError("duplicate_key", "an object names a member twice")
    return members


_decoder = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)


def _text_problem(text: str) -> Refused | None:
    if "\0" in text:
        return Refused("bad_json", "a NUL character in a string")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return Refused("bad_json", "a lone surrogate in a string")
    return None


def _value_problem(root: Any) -> Refused | None:
    """Depth and strings of a decoded value, without recursion."""
    level: list[Any] = [root]
    depth = 0
    while level:
        depth += 1
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                problem = _text_problem(value)
                if problem is not None:
                    return problem
            elif isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
        # Scalars inside the deepest container stand one level below it.
        if depth > MAX_DEPTH and any(isinstance(value, dict | list) for value in level):
            return Refused("too_deep", f"nested deeper than {MAX_DEPTH}")
        level = below
    return None


def read_json(body: bytes) -> Any | Refused:
    """The value of a JSON text, or ``bad_json``, ``bad_number``, ``duplicate_key``, ``too_deep`` (all 400).

    UTF-8 without a byte order mark only; no duplicate member, no lone surrogate, no NUL, no NaN, Infinity, negative
    zero or endless number, no more than ``MAX_DEPTH`` levels.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        return Refused("bad_json", "a byte order mark")
    try:
        value = _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        return Refused("bad_json", "not UTF-8")
    except _UnacceptableError as problem:
        return Refused(problem.reason, problem.detail)
    except RecursionError:
        return Refused("too_deep", f"nested deeper than {MAX_DEPTH}")
    except ValueError:
        return Refused("bad_json", "not JSON")
    return _value_problem(value) or value
