"""What is said about a page: its title and its type. Pure."""

from __future__ import annotations

import re

from foundation.plain_text import on_one_line

MAX_TITLE_CHARS = 200
_JOINERS = "\u200c\u200d"
"""Without these neither Persian nor half of all emoji can be written."""

_TYPE = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


def is_page_type(value: object) -> bool:
    """1 to 40 ASCII letters, digits, hyphens and underscores."""
    return isinstance(value, str) and _TYPE.fullmatch(value) is not None


def clean_title(text: str) -> str | None:
    """On one line, printable, at most 200 characters; None when nothing is left."""
    text = on_one_line(text[: 10 * MAX_TITLE_CHARS])
    shown = "".join(each if each.isprintable() or each in _JOINERS else " " for each in text)
    return " ".join(shown.split())[:MAX_TITLE_CHARS].strip() or None
