from __future__ import annotations

from foundation.database import Database


async def test_a_write_is_read_back(database: Database) -> None:
    from sqlalchemy import text

    await database.write(lambda tx: tx.execute(text("INSERT INTO remote_views VALUES (x'00', 1)")))
    async with database.read() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM remote_views"))).scalar_one() == 1
