"""Whose database this is. Its ids begin with the ``instance.url`` it was first used with: under another one other
instances would take all of it for something new, beside what they know."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, literal, select, update

from federation.tables import follows, instance
from foundation.clock import Clock
from foundation.database import Database, Transaction, upsert
from foundation.errors import ConfigError
from outbox.tables import activity_log, delivery_exceptions
from service.config.values import BaseUrl, parse_origin
from views.tables import videos

_log = logging.getLogger("fediviews")
_KEY = 1


async def owner_of(tx: Transaction) -> str | None:
    """The URL that the database belongs to; None: to nobody yet."""
    owner: str | None = (await tx.execute(select(instance.c.url).where(instance.c.key == _KEY))).scalar_one_or_none()
    return owner


def is_of_another(owner: str, url: BaseUrl) -> bool:
    """What was tried out on loopback, where nobody else could know it, is nobody's."""
    return owner != str(url) and not parse_origin(owner).is_loopback


def not_ours(place: str, owner: str, url: BaseUrl) -> str:
    """What is wrong and how to go on, in one line."""
    return (
        f"is {url}, but {place} belongs to {owner}: every id would change, and other instances would see everything"
        f" twice. Set it back, name another database, or, if the instance really moved, stop it and run"
        f" `fediviews adopt` once"
    )


@dataclass(frozen=True, slots=True)
class Moved:
    """Whose the database was, and how many follows ended with that name."""

    owner: str
    follows: int


async def check_ours(db: Database, url: BaseUrl) -> None:
    """Changes nothing. Raises ConfigError when a start of the service is needed first, or it belongs to another."""
    owner = await db.write(owner_of)
    if owner == str(url):
        return
    if owner is not None and is_of_another(owner, url):
        raise ConfigError("instance.url", not_ours(db.place, owner, url))
    if owner is None:
        raise ConfigError("instance.url", f"{db.place} belongs to nobody yet: start the service once, it takes it")
    raise ConfigError(
        "instance.url",
        f"is {url}, but {db.place} is still of {owner}, tried out on this machine: set it back, or stop what runs there"
        f" and start the service once, which moves it",
    )


async def settle(db: Database, url: BaseUrl, clock: Clock) -> None:
    """At each start: the first one takes possession. What was tried out on loopback, where nobody else could know it,
    moves by itself. Raises ConfigError when it belongs to another instance, StorageUnavailable when one that tries it
    out still runs."""
    now_ms = clock.now_ms()

    async def claim(tx: Transaction) -> str:
        row = {"key": _KEY, "url": str(url), "since_ms": now_ms}
        await tx.execute(upsert(tx, instance).values(row).on_conflict_do_nothing())
        return await owner_of(tx) or str(url)

    owner = await db.write(claim)
    if owner == str(url):
        return
    if is_of_another(owner, url):
        raise ConfigError("instance.url", not_ours(db.place, owner, url))
    moved = await adopt(db, url, clock)
    if moved is not None:
        _log.warning(
            "the database was of %s, tried out on this machine: its videos have ids of %s now; %d follows ended",
            moved.owner,
            url,
            moved.follows,
        )


async def adopt(db: Database, url: BaseUrl, clock: Clock) -> Moved | None:
    """Make the database ours; None when it was ours or nobody's. Raises StorageUnavailable while somebody runs on it.

    Ids of our videos change, views and statistics stay. Follows end on this side, both ways, and what was still to be
    delivered goes: both speak of actors that are no more.
    """
    now_ms = clock.now_ms()

    async def work(tx: Transaction) -> Moved | None:
        owner = await owner_of(tx)
        if owner == str(url):
            return None
        await db.check_free(tx)
        await tx.execute(delete(instance))
        await tx.execute(insert(instance).values(key=_KEY, url=str(url), since_ms=now_ms))
        if owner is None:
            return None
        renamed = literal(str(url)).concat(func.substr(videos.c.url, len(owner) + 1))
        ours = videos.c.local.is_(True) & videos.c.url.startswith(f"{owner}/", autoescape=True)
        await tx.execute(update(videos).where(ours).values(url=renamed, origin=url.authority))
        ended = (await tx.execute(select(func.count()).select_from(follows))).scalar_one()
        for gone in (follows, delivery_exceptions, activity_log):
            await tx.execute(delete(gone))
        return Moved(owner, ended)

    return await db.write(work)
