"""One line of history, and a file of them that can be read on from any record. Pure but for the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from views.pages.paths import Path

SAMPLED = 1_000
MAX_LINE = 65_536
"""Bytes; what is longer is no line of ours."""


@dataclass(frozen=True, slots=True)
class Record:
    """A page view somebody else wrote down. ``session_id`` goes before address and user agent."""

    at_ms: int
    path: Path
    session_id: str | None = None
    ip: str = ""
    user_agent: str = ""
    referrer: str | None = None
    country: str | None = None
    title: str | None = None
    page_type: str | None = None


class Source(Protocol):
    """Reads one open file (binary, seekable)."""

    @property
    def word(self) -> str:
        """Names the format; part of a job's identity."""

    def legible(self, file: IO[bytes]) -> tuple[int, int]:
        """How many lines at the beginning were looked at (`SAMPLED` at most), and how many of them are of this format,
        whatever they are about. Raises ConfigError as ``read``."""

    def read(self, file: IO[bytes], cursor: int) -> Iterator[tuple[int, Record | None]]:
        """From a cursor it gave before (0: the beginning) on: each record, or None for a line that is no page view,
        with the cursor behind it. Raises ConfigError for a file that is none of its format."""
