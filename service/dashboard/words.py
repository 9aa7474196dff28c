"""How numbers and instants are written for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from foundation.clock import parse_iso_ms
from service.commands.peer_table import duration

DONE: Mapping[str, str] = {
    "blocked": "The host is blocked: nothing it says is taken any more.",
    "blocked-unknown": "The host is blocked. Nothing is known of it yet: is its name spelt right?",
    "unblocked": "The host is blocked no more: the rules for everybody hold of it. It follows us no more, nor we it.",
    "allowed": "The host is allowed.",
    "disallowed": "The host is not allowed any more: the rules for everybody hold of it.",
    "followed": "The host was asked whether we may follow it.",
    "unfollowed": "The host is not followed any more.",
    "retried": "Activities that are tried again now: {n}",
    "dropped": "Activities that were given up: {n}",
    "replayed": "Messages that count now: {n}",
    "forgotten": "Refusals that were forgotten: {n}",
}
"""What pages say after a form; ``{n}`` is how many."""

_MAX_DIGITS = 9
_MINUTE_MS = 60_000


def done(what: str | None, number: str | None) -> str:
    """The sentence for what was done; nothing for words that are not ours."""
    counted = number if number is not None and number.isascii() and number.isdecimal() else "0"
    return DONE.get(what or "", "").replace("{n}", counted[:_MAX_DIGITS])


def ago(instant: str | None, now_ms: int) -> str:
    at_ms = None if instant is None else parse_iso_ms(instant)
    return "never" if at_ms is None else f"{duration(max(0, now_ms - at_ms))} ago"


def lag(length_ms: int) -> str:
    """To the tenth of a second below a minute."""
    return duration(length_ms) if length_ms >= _MINUTE_MS else f"{length_ms / 1000:.3g} s"


def ahead(instant: str | None, now_ms: int) -> str:
    at_ms = None if instant is None else parse_iso_ms(instant)
    return "now" if at_ms is None or at_ms <= now_ms else f"in {duration(at_ms - now_ms)}"
