"""``fediviews adopt``: the instance moved to another URL, and takes its database along."""

from __future__ import annotations

import sys

from foundation.clock import SystemClock
from foundation.database import Database
from foundation.metrics import Metrics
from service.config import Config
from service.moving.unused import alone, check_unused
from service.storage.belonging import adopt
from service.storage.migrate import migrate
from service.storage.stores import MIGRATION_TIMEOUT_MS, database_url


async def adopt_database(config: Config) -> int:
    """Raises ConfigError, StorageUnavailable, FediviewsError: a service runs on it, or there is none."""
    clock, url, name = SystemClock(), database_url(config), config.instance.url
    with alone(url, needed=True):
        db = await Database.open(url, clock=clock, metrics=Metrics(), statement_timeout_ms=MIGRATION_TIMEOUT_MS)
        try:
            await check_unused(db)
            await migrate(db)
            moved = await adopt(db, name, clock)
        finally:
            await db.close()
    if moved is None:
        print(f"{db.place} belongs to {name}; nothing changed.", file=sys.stderr)
        return 0
    print(
        f"{db.place} belonged to {moved.owner}, and belongs to {name} from now on.\n"
        f"Its videos have new ids; views and statistics stay. Follows ended on this side ({moved.follows}): whoever"
        " followed the old name has to follow the new one, and the service follows anew whom config.yaml names.",
        file=sys.stderr,
    )
    return 0
