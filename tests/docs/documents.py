"""The documents as tests read them: tables, code blocks, words in backticks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
SECURITY, THREATS, HOUSE = ROOT / "SECURITY.md", DOCS / "threat-model.md", DOCS / "house.md"
README, CHANGELOG = ROOT / "README.md", ROOT / "CHANGELOG.md"
FEDERATION, REST, OPERATIONS, METRICS, WEBHOOKS, LIVEKIT = (
    DOCS / f"{name}.md" for name in ("federation", "rest", "operations", "metrics", "webhooks", "livekit")
)
DECISIONS = DOCS / "adr"
WRITTEN = (README, REST, OPERATIONS, FEDERATION, METRICS, WEBHOOKS, LIVEKIT, THREATS, SECURITY, CHANGELOG)
"""In the order in which a reader (and the test that runs the examples) goes through them."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def ticked(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def rows(path: Path, *heads: str) -> Iterator[list[str]]:
    """The cells of every row of every table whose head begins with these cells."""
    reading = False
    for line in text_of(path).splitlines():
        if not line.startswith("|"):
            reading = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if tuple(cells[: len(heads)]) == heads:
            reading = True
        elif reading and not set(line) <= set("|-"):
            yield cells


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it begins, its language, its text."""

    path: Path
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.path.name}:{self.line}"


def blocks(path: Path) -> list[Block]:
    text = text_of(path)
    return [Block(path, text.count("\n", 0, found.start()) + 1, found[1], found[2]) for found in _FENCE.finditer(text)]


def prose(path: Path) -> str:
    """The document without its fenced blocks."""
    return _FENCE.sub("", text_of(path))


@dataclass(frozen=True, slots=True)
class Example:
    """Commands, and what follows them at once: the answer, as ``json`` or as lines of ``text``."""

    commands: Block
    answer: Block | None


def examples() -> list[Example]:
    """Every shell block with a curl in it, in reading order."""
    found: list[Example] = []
    for path in WRITTEN:
        inside = blocks(path)
        for block, after in zip_longest(inside, inside[1:]):
            if block.language == "sh" and "curl" in block.text:
                end = block.line + block.text.count("\n") + 2
                close = after is not None and after.line == end and after.language in ("json", "text")
                found.append(Example(block, after if close else None))
    return found
