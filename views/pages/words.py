"""What is said about a page: its title and its type. Pure."""

from __future__ import annotations

import re

MAX_TITLE_CHARS = 200
_TYPE = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)


def is_page_type(value: object) -> bool:
    """1 to 40 ASCII letters, digits, hyphens and underscores."""
    return isinstance(value, str) and _TYPE.fullmatch(value) is not None


def clean_title(text: str) -> str | None:
    """On one line, printable, at most 200 characters; None when nothing is left."""
    shown = "".join(character if character.isprintable() else " " for character in text[: 10 * MAX_TITLE_CHARS])
    return " ".join(shown.split())[:MAX_TITLE_CHARS].strip() or None
