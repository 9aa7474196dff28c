"""What every server of the tests has in common: its program, its directory, its end."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

READY_WITHIN_S = 20.0


class ServerMissingError(RuntimeError):
    """No program to start; says how to get one."""


def wheel_directory(package: str) -> Path | None:
    """Where a package is installed; it is not imported."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def program(path: Path, variable: str) -> Path:
    if not os.access(path, os.X_OK):
        raise ServerMissingError(f"{variable} names {path}, which is no program")
    return path


def die_with_parent() -> None:
    """Runs in the child: a killed test run leaves no server behind (prctl PR_SET_PDEATHSIG, Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def wait_until_ready(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while not ready():
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"{Path(str(process.args[0])).name} did not start:\n{log.read_text()[-2000:]}")  # type: ignore[index]
        time.sleep(0.002)


def free_port() -> int:
    """Its cluster bus uses the port 10000 above, so it is a low one."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 10000))
            if port not in _taken:
                _taken.add(port)
                return port
    raise RuntimeError("no free port")


_taken: set[int] = set()


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """Short (a socket's path has 107 bytes), and reachable for a user that privileges were dropped to."""
    path = Path(tempfile.mkdtemp(prefix="fv-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
