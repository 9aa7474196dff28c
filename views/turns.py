"""Long work in turns, so that other work gets its own in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

AT_A_TIME = 500
"""Videos worked on before other work gets its turn."""


def batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(items), AT_A_TIME):
        yield items[start : start + AT_A_TIME]
