"""``python -m service.migrations.regenerate``: write the first migration anew from the tables as they are defined
(``ruff format`` it afterwards).

Only until the first release: afterwards a change of the schema is a further migration, written by hand beside the
first one. ``tests/service/test_migrations.py`` fails whenever migrations and tables differ.
"""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from service.storage import schema

TARGET = Path(__file__).resolve().parent / "versions" / "0001_first.py"

_HEAD = '''"""The schema of the first release (made by ``python -m service.migrations.regenerate``)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
'''


def first_migration() -> str:
    """The text of a migration that makes every table in an empty database."""
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as connection:
            script = produce_migrations(MigrationContext.configure(connection), schema.load())
    finally:
        engine.dispose()
    assert script.upgrade_ops is not None
    body = render_python_code(script.upgrade_ops)
    # Rendered through SQLite, whose booleans are numbers; PostgreSQL takes none of those as a default.
    body = body.replace("sa.Boolean(), server_default=sa.text('0')", "sa.Boolean(), server_default=sa.false()")
    body = body.replace("sa.Boolean(), server_default=sa.text('1')", "sa.Boolean(), server_default=sa.true()")
    lines = [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return _HEAD + "\n".join("    " + line.lstrip() if line.lstrip() == line else line for line in lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(first_migration())
