"""Python's search for circles of garbage: nothing else happens while it looks, which took half a second under load."""

from __future__ import annotations

import gc

YOUNG = 50_000
"""Objects made since the last look, not counting those that went by themselves, which most do."""
MIDDLE = 20
OLD = 20
"""Looks at younger objects before one at older ones."""


def look_rarely() -> None:
    """Once everything is built: what is there now stays, and is not looked through again. For a whole process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
