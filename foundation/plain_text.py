"""Text of others, as it may be shown beside our own: without what turns it round, hides it or moves a cursor. Pure."""

from __future__ import annotations

DIRECTION = (*range(0x202A, 0x202F), *range(0x2066, 0x2070))
"""Unicode's embeddings, overrides and isolates (UAX 9, 2.1 to 2.5), with the deprecated controls behind them. Marks
(LRM, RLM, ALM) and joiners, which scripts and emoji need, are none of these."""

_SPACES = (*range(0x01, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_LINES = {ord(each) for each in "\t\n\r"}
_ON_ONE_LINE: dict[int, str | None] = {**dict.fromkeys(_SPACES, " "), **dict.fromkeys(DIRECTION)}
_WITH_LINES = {code: shown for code, shown in _ON_ONE_LINE.items() if code not in _LINES}


def on_one_line(text: str) -> str:
    """Controls of direction are gone, other control characters are spaces. NUL stays: whoever keeps text refuses it."""
    return text.translate(_ON_ONE_LINE)


def with_lines(text: str) -> str:
    """The same for a text of several lines: these, and tabs, stay."""
    return text.translate(_WITH_LINES)
