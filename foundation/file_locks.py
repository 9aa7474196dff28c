"""A file that processes hold while they use what lies beside it. The lock goes with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """Of one process alone, or of all that share it. What it is taken on is never deleted: two processes
    would hold one name each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    @property
    def is_held(self) -> bool:
        return self._file >= 0

    def take(self) -> bool:
        """Alone, at once or not at all: False while others hold it. Raises OSError."""
        return self._take(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def share(self) -> None:
        """Waits for whoever has it alone. Raises OSError."""
        self._take(fcntl.LOCK_SH)

    def _take(self, how: int) -> bool:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, how)
        except BlockingIOError:
            os.close(file)
            return False
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True

    def release(self) -> None:
        """Harmless when it is not held."""
        if self.is_held:
            os.close(self._file)
            self._file = -1
