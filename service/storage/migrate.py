"""Bring a database to the schema of this release."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from foundation.database import Database, Transaction
from foundation.errors import StorageUnavailable

SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"

_LOCK = 0x0FED1_51E35
"""Key of the PostgreSQL advisory lock: two processes that start together migrate one after the other."""


async def migrate(db: Database) -> None:
    """Run what is missing, in one transaction: afterwards the schema is this release's, or what it was before.

    Raises StorageUnavailable when a later release has migrated the database already, or an earlier one runs on it.
    """

    async def work(tx: Transaction) -> None:
        if tx.dialect.name == "postgresql":
            await tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if await tx.run_sync(_revisions) != heads():
            await tx.run_sync(_check_known)
            await db.check_free(tx)
            await tx.run_sync(upgrade)

    await db.write(work)


async def check_schema(db: Database) -> None:
    """Raises StorageUnavailable where it is not that of this release."""

    async def work(tx: Transaction) -> None:
        await tx.run_sync(_check_known)
        if await tx.run_sync(_revisions) != heads():
            raise StorageUnavailable(
                f"{db.place}: its schema is not of this release; start this release's service once, it migrates"
            )

    await db.write(work)


def heads() -> set[str]:
    """Revisions of the schema of this release."""
    return set(ScriptDirectory.from_config(_config()).get_heads())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _revisions(connection: Connection) -> set[str]:
    return set(MigrationContext.configure(connection).get_current_heads())


def _check_known(connection: Connection) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    unknown = _revisions(connection) - known
    if unknown:
        raise StorageUnavailable(f"database: its schema is of a later release ({', '.join(sorted(unknown))})")


def upgrade(connection: Connection) -> None:
    """As ``migrate``, on a connection whose transaction the caller commits."""
    _check_known(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
