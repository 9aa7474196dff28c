"""What of a configured text a message may repeat. An error's line goes into the system's log, which others read: a
password in a mistyped URL must not stand there. Pure."""

from __future__ import annotations

import re

HIDDEN = "***"
LONGEST_VALUE = 60
LONGEST_KEY = 40
LONGEST_KEY_OF_SECRET = 24
"""Characters. No key of ours is longer; where a key and its secret are swapped, the secret is."""

_PLACE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^:/@?#\s]*(:[0-9]{1,5})?(/[^@?#\s]*)?")
"""A URL in which no user, password, query or fragment can be hidden, however it is taken apart."""


def is_quotable(text: str) -> bool:
    """Whether ``text`` can hold no password: what a mistyped URL holds where, nobody knows."""
    if len(text) > LONGEST_VALUE or "\n" in text or "@" in text:
        return False
    return "://" not in text or _PLACE.fullmatch(text) is not None


def quotable_key(key: str, *, beside_secret: bool = False) -> str:
    """``key``, or asterisks for what is no key but something that slipped into its place: ``beside_secret``, the secret
    itself."""
    longest = LONGEST_KEY_OF_SECRET if beside_secret else LONGEST_KEY
    return key if len(key) <= longest and "://" not in key and "@" not in key else HIDDEN
