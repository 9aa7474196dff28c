"""Database, live store, disk: there, of the right kind, and with room."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from foundation.database import Database, Transaction
from foundation.errors import StorageUnavailable
from foundation.redis.link import RedisLink
from service.config import LiveKind
from service.doctor.model import Finding, Surroundings, failed, ok, warning
from service.storage.belonging import is_of_another, owner_of
from service.storage.migrate import heads

FULL_BELOW = 100_000_000
LOW_BELOW = 1_000_000_000
"""Bytes free."""

_DATABASE, _LIVE, _DISK = "database", "live store", "disk"


async def database(around: Surroundings) -> Sequence[Finding]:
    db = around.database
    if db is None:
        if not around.database_problem:
            return [warning(_DATABASE, "there is none yet", "start the service once: it makes one")]
        return [failed(_DATABASE, around.database_problem, "see storage.database, and whether the server runs")]
    try:
        async with db.read() as tx:
            found = await tx.run_sync(lambda connection: MigrationContext.configure(connection).get_current_heads())
            facts = await _facts(tx)
            owner = await owner_of(tx) if set(found) == heads() else None
    except StorageUnavailable as problem:
        return [failed(_DATABASE, f"{db.place}: {problem}", "see whether its server runs and takes connections")]
    if set(found) != heads():
        there = ", ".join(found) or "none"
        advice = "start this release's service: it migrates; a later schema needs the later release"
        return [warning(_DATABASE, f"{db.place}: schema {there}, this release has {', '.join(heads())}", advice)]
    if owner is not None and is_of_another(owner, around.config.instance.url):
        says = f"{db.place} belongs to {owner}, instance.url is {around.config.instance.url}"
        return [failed(_DATABASE, says, "set instance.url back; if the instance moved: `fediviews adopt`"), *facts]
    return [ok(_DATABASE, f"{_kind(db)} {db.place}, schema {', '.join(found)}"), *facts]


def _kind(db: Database) -> str:
    return "SQLite" if db.dialect == "sqlite" else "PostgreSQL"


async def _facts(tx: Transaction) -> list[Finding]:
    """What acknowledged commits depend on."""
    if tx.dialect.name != "postgresql":
        return []
    asked = text("SELECT name FROM pg_settings WHERE setting = 'off' AND name = ANY(:names)")
    unsafe = (await tx.execute(asked, {"names": ["fsync", "synchronous_commit", "full_page_writes"]})).scalars().all()
    if unsafe:
        advice = "turn it on: what was acknowledged does not survive a power cut otherwise"
        return [warning("database safety", f"{', '.join(unsafe)} is off", advice)]
    return [ok("database safety", "commits survive a power cut")]


async def live(around: Surroundings) -> Sequence[Finding]:
    configured = around.config.storage.live
    if configured.url is None:
        return [ok(_LIVE, "memory, with a journal")]
    link = RedisLink(configured.url)
    try:
        facts = await link.facts()
    except StorageUnavailable as problem:
        return [failed(_LIVE, str(problem), "see storage.live, and whether its server runs")]
    finally:
        await link.close()
    found = [ok(_LIVE, f"{link.place}, {facts.software} {facts.version}")]
    if configured.kind is LiveKind.REDIS_CLUSTER:
        found = [ok(_LIVE, f"{link.place}, cluster of {facts.software} {facts.version} (one node was asked)")]
    if facts.version_number < (6, 2):
        found = [failed(_LIVE, f"{link.place}: Redis {facts.version}", "it has to be 6.2 or later")]
    if not facts.append_only:
        advice = "CONFIG SET appendonly yes, appendfsync everysec: its restart loses who is watching otherwise"
        found.append(warning("live persistence", "no append-only file", advice))
    elif facts.append_fsync not in ("", "everysec", "always"):
        advice = "CONFIG SET appendfsync everysec"
        found.append(warning("live persistence", f"appendfsync is {facts.append_fsync}", advice))
    else:
        found.append(ok("live persistence", f"append-only file, {facts.append_fsync or 'how often is not told'}"))
    if facts.eviction not in ("", "noeviction"):
        advice = "CONFIG SET maxmemory-policy noeviction: viewers vanish one by one otherwise"
        found.append(warning("live memory", f"maxmemory-policy is {facts.eviction}", advice))
    else:
        found.append(ok("live memory", f"{facts.used_bytes / 1e6:,.0f} MB used, nothing is evicted"))
    return found


async def disk(around: Surroundings) -> Sequence[Finding]:
    directory = around.config.storage.directory
    if not directory.exists():
        return [warning(_DISK, f"{directory} is not there yet", "start the service once: it makes it")]
    usage = shutil.disk_usage(directory)
    says = f"{usage.free / 1e9:,.1f} GB free where {directory} is"
    advice = "make room: SQLite, the journal and GeoIP files are there (views.journal_max bounds the journal)"
    if usage.free < FULL_BELOW:
        return [failed(_DISK, says, advice)]
    return [warning(_DISK, says, advice) if usage.free < LOW_BELOW else ok(_DISK, says)]
