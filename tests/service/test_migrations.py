from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, text

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from service.storage import schema
from service.storage.migrate import migrate

EVERY_DATABASE = True


def statements(connection: Connection) -> dict[str, list[str]]:
    """What SQLite remembers of every object, as a sorted list of its clauses."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {
        row.name: sorted(clause.strip(" ,)") for clause in re.split(r"\n", row.sql) if clause.strip(" ,)\t"))
        for row in rows
        if row.name != "alembic_version"
    }


@pytest.fixture
async def empty(database_url: str, clock: ManualClock, metrics: Metrics) -> AsyncIterator[Database]:
    database = await Database.open(database_url, clock=clock, metrics=metrics)
    yield database
    await database.close()


async def test_migrations_make_the_tables_as_they_are_defined(empty: Database) -> None:
    """Fails when a tables.py changed: ``python -m service.migrations.regenerate`` until the first release."""
    await migrate(empty)
    tables = schema.load()
    async with empty.read() as tx:
        differences = await tx.run_sync(
            lambda connection: compare_metadata(MigrationContext.configure(connection), tables)
        )
    assert differences == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_migrations_keep_what_a_comparison_does_not_see(
    database: Database, tmp_path: Path, clock: ManualClock
) -> None:
    """Checks, AUTOINCREMENT, defaults: SQLite's own record of the statements is the same."""
    fresh = await Database.open(f"sqlite:///{tmp_path}/fresh.sqlite", clock=clock, metrics=Metrics())
    try:
        await migrate(fresh)
        async with fresh.read() as migrated, database.read() as defined:
            assert await migrated.run_sync(statements) == await defined.run_sync(statements)
    finally:
        await fresh.close()


async def test_a_forgotten_table_is_noticed(empty: Database) -> None:
    await migrate(empty)
    wanted = MetaData()
    for table in schema.load().tables.values():
        table.to_metadata(wanted)
    await empty.write(lambda tx: tx.execute(text("DROP TABLE remote_views")))
    async with empty.read() as tx:
        differences = await tx.run_sync(
            lambda connection: compare_metadata(MigrationContext.configure(connection), wanted)
        )
    assert [difference[0] for difference in differences] == ["add_table", "add_index"]


async def test_migrating_again_changes_nothing(empty: Database) -> None:
    await migrate(empty)
    await empty.write(lambda tx: tx.execute(text("INSERT INTO peers (host) VALUES ('peer.example')")))
    await asyncio.gather(migrate(empty), migrate(empty))
    async with empty.read() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM peers"))).scalar_one() == 1


async def test_a_database_of_a_later_release_is_left_alone(empty: Database) -> None:
    await migrate(empty)
    await empty.write(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(StorageUnavailable, match="later release"):
        await migrate(empty)
