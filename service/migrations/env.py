"""What Alembic runs for every command; the open connection comes from ``service.storage.migrate``."""

from __future__ import annotations

from alembic import context

from service.storage import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.load(),
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
