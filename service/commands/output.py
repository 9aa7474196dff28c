"""Standard output that takes nothing more: whoever read it has gone, or the disk is full."""

from __future__ import annotations

import errno
import os
import sys

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def is_full(problem: OSError) -> bool:
    """Whether this says that there is no room for what is written."""
    return problem.errno in _FULL


def give_up_output() -> None:
    """Nothing is to be said when Python closes it, either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
