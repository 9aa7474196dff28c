"""Python's search for circles of garbage: nothing else happens while it looks, which took half a second under load."""

from __future__ import annotations

import gc

YOUNG = 20_000
"""Objects made since the last look, not counting those that went by themselves, which most do."""
MIDDLE = 10
OLD = 3
"""Looks at younger objects before one at older ones. A connection that is gone is a circle of some hundred objects, and
old by then: with twenty for both, tens of thousands of them lay about (a gigabyte) before the first look."""


def look_rarely() -> None:
    """Once everything is built: what is there now stays, and is not looked through again. For a whole process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
