"""Colours, where somebody looks: on a terminal that wants them (NO_COLOR, TERM=dumb: none)."""

from __future__ import annotations

import enum
import os
import shutil
from typing import TextIO


class Colour(enum.Enum):
    """SGR codes (ECMA-48)."""

    RED = "31"
    GREEN = "32"
    YELLOW = "33"


def painted(text: str, colour: Colour, out: TextIO) -> str:
    return f"\033[{colour.value}m{text}\033[0m" if wants_colour(out) else text


def wants_colour(out: TextIO) -> bool:
    """https://no-color.org: any value but an empty one turns colours off."""
    return out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width_of(out: TextIO) -> int | None:
    """Columns of a terminal; None for a file or a pipe, where lines are as long as they are."""
    return shutil.get_terminal_size().columns if out.isatty() else None
