"""How far something long has got: one line that is written over on a terminal, else a line now and then."""

from __future__ import annotations

import shutil
from typing import TextIO

_STEPS = 10
"""Lines per hundred percent where nothing can be written over."""


class Bar:
    """``with Bar(out, total) as bar: bar.at(done, "what")``; ``total`` 0 is a bar that is full."""

    def __init__(self, out: TextIO, total: int) -> None:
        self._out = out
        self._total = total
        self._terminal = out.isatty()
        self._shown = -1

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal and self._shown >= 0:
            self._out.write("\n")
            self._out.flush()

    def at(self, done: int, what: str) -> None:
        share = min(1.0, done / self._total) if self._total else 1.0
        if not self._terminal:
            step = int(share * _STEPS)
            if step == self._shown:
                return
            self._shown = step
            self._out.write(f"{share:4.0%}  {done:,} of {self._total:,}  {what}\n")
        else:
            self._shown = 0
            width = shutil.get_terminal_size().columns
            tail = f" {share:4.0%}  {done:,} of {self._total:,}  {what}"
            room = max(0, min(40, width - len(tail) - 3))
            filled = int(share * room)
            self._out.write(f"\r[{'#' * filled}{'.' * (room - filled)}]{tail}"[: width + 1].ljust(width))
        self._out.flush()
