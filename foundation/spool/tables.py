"""How far each file of a spool was replayed; committed together with what the replay wrote."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table

from foundation.database import metadata

spool_cursors = Table(
    "spool_cursors",
    metadata,
    # Of the file, drawn when it was made.
    Column("spool", LargeBinary(16), primary_key=True),
    # Bytes of the file: everything before was replayed.
    Column("position", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_spool_cursors_updated_ms", "updated_ms"),
)
