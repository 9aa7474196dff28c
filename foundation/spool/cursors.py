"""The rows that make a replay happen once: every function works through the transaction it is given."""

from __future__ import annotations

from sqlalchemy import delete, select

from foundation.database import Transaction, upsert
from foundation.spool.tables import spool_cursors


async def position(tx: Transaction, spool: bytes) -> int:
    """How far this file was replayed, 0 for one that was not yet. Nobody else moves it before the transaction ends."""
    asked = select(spool_cursors.c.position).where(spool_cursors.c.spool == spool).with_for_update()
    return int(await tx.scalar(asked) or 0)


async def move(tx: Transaction, spool: bytes, to: int, now_ms: int) -> None:
    """Everything before ``to`` is replayed once this is committed."""
    moved = {"position": to, "updated_ms": now_ms}
    row = upsert(tx, spool_cursors).values(spool=spool, **moved)
    await tx.execute(row.on_conflict_do_update(index_elements=["spool"], set_=moved))


async def forget(tx: Transaction, spool: bytes) -> None:
    """The file is gone."""
    await tx.execute(delete(spool_cursors).where(spool_cursors.c.spool == spool))


async def purge(tx: Transaction, before_ms: int) -> None:
    """Forget files that a crash took away between their end and ``forget``."""
    await tx.execute(delete(spool_cursors).where(spool_cursors.c.updated_ms < before_ms))
