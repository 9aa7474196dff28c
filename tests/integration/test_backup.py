"""Backups are worth what is restored from them: as docs/operations.md says, of a service that runs meanwhile."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from integration.conftest import Spawn
from sqlalchemy import text
from support.servers.postgresql import PostgreSQLServer

from foundation.clock import SystemClock
from foundation.database import Database
from foundation.metrics import Metrics


async def test_a_copy_of_sqlite_made_while_it_runs_is_a_whole_instance(spawn: Spawn, tmp_path: Path) -> None:
    process = spawn()
    client = await process.start()
    await client.put_video()
    assert await client.view("anna") == "counted"
    data = process.config.parent / "data"
    copy = tmp_path / "copy"
    copy.mkdir()
    with (
        closing(sqlite3.connect(data / "fediviews.sqlite")) as live,
        closing(sqlite3.connect(copy / "fediviews.sqlite")) as to,
    ):
        live.backup(to)
    assert await client.view("bert") == "counted"
    for name in ("instance.pem", "viewer-secret"):
        shutil.copy2(data / name, copy / name)
    await process.end()
    shutil.rmtree(data)
    copy.rename(data)
    again = await process.start()
    assert again.url == client.url
    assert await again.views() == 1
    assert await again.view("carl") == "counted"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_dump_of_postgresql_is_a_whole_database(
    spawn: Spawn, database_url: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    server: PostgreSQLServer = request.getfixturevalue("_postgresql")
    process = spawn(storage={"database": database_url})
    client = await process.start()
    await client.put_video()
    assert await client.view("anna") == "counted"
    await client.leave("anna")
    dump = tmp_path / "fediviews.dump"
    await done(server, "pg_dump", "--format=custom", f"--file={dump}", database_url)
    assert await client.view("bert") == "counted"
    await process.end()
    server.empty()
    await done(server, "pg_restore", "--clean", "--if-exists", "--exit-on-error", f"--dbname={database_url}", str(dump))
    again = await process.start()
    assert await again.views() == 1
    assert await again.view("carl") == "counted"
    assert await again.views() == 2
    database = await Database.open(database_url, clock=SystemClock(), metrics=Metrics())
    try:
        async with database.read() as tx:
            parts = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'video_views'::regclass")
            assert (await tx.execute(parts)).scalar_one() > 0
    finally:
        await database.close()


async def done(server: PostgreSQLServer, program: str, *arguments: str) -> None:
    child = await asyncio.create_subprocess_exec(
        str(server.programs / program), *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, said = await child.communicate()
    assert child.returncode == 0, said.decode()
