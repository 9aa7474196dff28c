"""How far a copy has got, written in the target beside the rows, in their transactions: a kill costs one batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, MetaData, Table, Text, inspect, select

from foundation.database import Database, Transaction, upsert

_own = MetaData()
moving_in = Table(
    "moving_in",
    _own,
    Column("name", Text, primary_key=True),
    Column("copied", BigInteger, nullable=False),
    # Key of the last row, as JSON; of the source in the row without a name.
    Column("last", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("done", Boolean, nullable=False),
)
_SOURCE = ""
_MODULUS = 2**64

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """Of one table: rows copied, the key of the last one, and a sum over all of them that does not ask for an order."""

    copied: int = 0
    last: Key | None = None
    digest: int = 0
    done: bool = False

    def after(self, rows: Sequence[Sequence[Any]], last: Key, *, done: bool) -> Progress:
        return Progress(self.copied + len(rows), last, digest_of(rows, self.digest), done)


def digest_of(rows: Sequence[Sequence[Any]], digest: int = 0) -> int:
    """The sum of the rows' hashes, on top of ``digest``."""
    for row in rows:
        said = repr(tuple(row)).encode("utf-8", "surrogatepass")
        digest += int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big")
    return digest % _MODULUS


async def is_begun(db: Database) -> bool:
    """Has a copy begun here that was not finished?"""
    async with db.read() as tx:
        return await tx.run_sync(lambda connection: inspect(connection).has_table(moving_in.name))


async def begin(tx: Transaction, source: str) -> None:
    await tx.run_sync(_own.create_all)
    await _put(tx, _SOURCE, Progress(last=(source,)))


async def source_of(db: Database) -> str:
    async with db.read() as tx:
        last: str = (await tx.execute(select(moving_in.c.last).where(moving_in.c.name == _SOURCE))).scalar_one()
    return str(json.loads(last)[0])


async def progress_of(db: Database) -> dict[str, Progress]:
    """By the name of the table; what has not begun is absent."""
    async with db.read() as tx:
        rows = (await tx.execute(select(moving_in).where(moving_in.c.name != _SOURCE))).all()
    return {row.name: Progress(row.copied, _decoded(row.last), int(row.digest), row.done) for row in rows}


async def note(tx: Transaction, table: str, progress: Progress) -> None:
    await _put(tx, table, progress)


async def end(tx: Transaction) -> None:
    await tx.run_sync(_own.drop_all)


async def _put(tx: Transaction, name: str, progress: Progress) -> None:
    values = {
        "copied": progress.copied,
        "last": json.dumps([_encoded(value) for value in progress.last or ()]),
        "digest": str(progress.digest),
        "done": progress.done,
    }
    statement = upsert(tx, moving_in).values(name=name, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def _encoded(value: object) -> object:
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _decoded(text: str) -> Key | None:
    values = json.loads(text)
    return tuple(bytes.fromhex(each["hex"]) if isinstance(each, dict) else each for each in values) or None
