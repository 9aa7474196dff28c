"""The registry's rows. Every function writes or reads through the transaction it is given, and keeps nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, case, delete, func, or_, select, update

from federation.peers.model import Direction, FollowRecord, FollowState, Software
from federation.peers.signing import Found, Way
from federation.tables import follows, peers
from foundation.database import Transaction, upsert

_BATCH = 200
_SOFTWARE = ("software", "version", "capabilities", "nodeinfo_checked_ms")


@dataclass(frozen=True, slots=True)
class PeerRow:
    """What is kept of a host besides its follows."""

    host: str
    software: Software | None = None
    nodeinfo_checked_ms: int | None = None
    clock_offset_ms: int = 0
    last_seen_ms: int | None = None
    verdict: str | None = None
    signing: Found | None = None


class _Offers(msgspec.Struct, frozen=True):
    """As the column ``capabilities`` keeps them."""

    yours: bool = False
    batch: bool = False
    batch_items: int = 0
    max_body_bytes: int = 0


def _offers(software: Software | None) -> str:
    kept = _Offers()
    if software is not None:
        kept = _Offers(software.yours, software.batch, software.batch_items, software.max_body_bytes)
    return msgspec.json.encode(kept).decode()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _peer(row: Row[tuple[object, ...]]) -> PeerRow:
    found = row._mapping  # SQLAlchemy's public name for it
    software = None
    if found["software"]:
        offers = msgspec.json.decode(found["capabilities"] or "{}", type=_Offers)
        software = Software(found["software"], found["version"] or "", **msgspec.structs.asdict(offers))
    return PeerRow(
        found["host"],
        software,
        found["nodeinfo_checked_ms"],
        found["clock_offset_ms"] or 0,
        found["last_seen_ms"],
        found["verdict"],
        Found(Way(found["signing"]), found["signing_ms"] or 0) if found["signing"] else None,
    )


async def load_peers(tx: Transaction, limit: int) -> list[PeerRow]:
    """Hosts with a verdict first, then the ones heard of most recently; at most ``limit``."""
    statement = select(peers).order_by(peers.c.verdict.is_(None), peers.c.last_seen_ms.desc().nulls_last()).limit(limit)
    return [_peer(row) for row in await tx.execute(statement)]


async def load_heard(tx: Transaction, since_ms: int, limit: int) -> list[PeerRow]:
    """Hosts that any process heard of since, or asked what they run; at most ``limit``, the most recent first."""
    fresh = or_(peers.c.last_seen_ms >= since_ms, peers.c.nodeinfo_checked_ms >= since_ms)
    statement = select(peers).where(fresh).order_by(peers.c.last_seen_ms.desc().nulls_last()).limit(limit)
    return [_peer(row) for row in await tx.execute(statement)]


async def load_verdicts(tx: Transaction) -> dict[str, str]:
    """What administrators decided at run time, by host."""
    rows = await tx.execute(select(peers.c.host, peers.c.verdict).where(peers.c.verdict.is_not(None)))
    return {row.host: row.verdict for row in rows}


async def save_peers(tx: Transaction, rows: Sequence[PeerRow]) -> None:
    """Keep what was learnt; an administrator's verdict has its own statement and is left alone.

    What another process learnt later stays, and what a host runs is not forgotten because one process never heard it.
    """
    # In the order of hosts, so that two processes never wait for each other in a circle.
    rows = sorted(rows, key=lambda row: row.host)
    for start in range(0, len(rows), _BATCH):
        insert = upsert(tx, peers).values(
            [
                {
                    "host": row.host,
                    "software": row.software.name if row.software else None,
                    "version": row.software.version if row.software else None,
                    "capabilities": _offers(row.software),
                    "nodeinfo_checked_ms": row.nodeinfo_checked_ms,
                    "clock_offset_ms": row.clock_offset_ms,
                    "last_seen_ms": row.last_seen_ms,
                    "signing": None if row.signing is None else row.signing.way,
                    "signing_ms": None if row.signing is None else row.signing.at_ms,
                }
                for row in rows[start : start + _BATCH]
            ]
        )
        said, kept = insert.excluded, peers.c
        later = func.coalesce(said.nodeinfo_checked_ms, 0) >= func.coalesce(kept.nodeinfo_checked_ms, 0)
        newer = or_(kept.software.is_(None), and_(said.software.is_not(None), later))
        seen_later = func.coalesce(said.last_seen_ms, 0) >= func.coalesce(kept.last_seen_ms, 0)
        changes: dict[str, ColumnElement[Any]] = {
            name: said[name] for name in ("clock_offset_ms", "signing", "signing_ms")
        }
        changes |= {name: case((newer, said[name]), else_=kept[name]) for name in _SOFTWARE}
        changes["last_seen_ms"] = case((seen_later, said.last_seen_ms), else_=kept.last_seen_ms)
        await tx.execute(insert.on_conflict_do_update(index_elements=[peers.c.host], set_=changes))


async def set_verdict(tx: Transaction, host: str, verdict: str | None) -> None:
    """None: nobody decided anything of this host."""
    insert = upsert(tx, peers).values(host=host, verdict=verdict)
    await tx.execute(insert.on_conflict_do_update(index_elements=[peers.c.host], set_={"verdict": verdict}))


async def purge_peers(tx: Transaction, before_ms: int) -> int:
    """Forget hosts that nobody heard of since, unless an administrator judged them."""
    old = select(peers.c.host).where(peers.c.verdict.is_(None), peers.c.last_seen_ms < before_ms)
    gone = await tx.execute(delete(peers).where(peers.c.host.in_(old.order_by(peers.c.host).with_for_update())))
    return gone.rowcount


def _follow(row: Row[tuple[object, ...]]) -> FollowRecord:
    found = row._mapping  # SQLAlchemy's public name for it
    return FollowRecord(
        id=found["id"],
        direction=Direction(found["direction"]),
        host=found["host"],
        actor=found["actor"],
        inbox=found["inbox"],
        shared_inbox=found["shared_inbox"],
        follow_id=found["follow_id"],
        object=found["object"],
        state=FollowState(found["state"]),
        created_ms=found["created_ms"],
        updated_ms=found["updated_ms"],
    )


async def load_follows(tx: Transaction) -> list[FollowRecord]:
    """All of them: how many there can be is bounded where they are taken in."""
    return [_follow(row) for row in await tx.execute(select(follows).order_by(follows.c.id))]


async def follows_of(tx: Transaction, host: str) -> list[FollowRecord]:
    """Both ways, of one host's actors."""
    return [_follow(row) for row in await tx.execute(select(follows).where(follows.c.host == host))]


async def find_follow(tx: Transaction, direction: Direction, actor: str, object_: str) -> FollowRecord | None:
    key = _digest(direction.value, actor, object_)
    row = (await tx.execute(select(follows).where(follows.c.key == key))).one_or_none()
    return None if row is None else _follow(row)


async def put_follow(tx: Transaction, record: FollowRecord) -> FollowRecord:
    """Insert, or replace the one of this direction, actor and object; the row as it stands, with its id."""
    values = {
        "key": _digest(record.direction.value, record.actor, record.object),
        "direction": record.direction.value,
        "host": record.host,
        "actor": record.actor,
        "inbox": record.inbox,
        "shared_inbox": record.shared_inbox,
        "follow_id": record.follow_id,
        "object": record.object,
        "state": record.state.value,
        "created_ms": record.created_ms,
        "updated_ms": record.updated_ms,
    }
    changes = {name: values[name] for name in ("inbox", "shared_inbox", "follow_id", "state", "updated_ms")}
    insert = upsert(tx, follows).values(values)
    kept = await tx.execute(
        insert.on_conflict_do_update(index_elements=[follows.c.key], set_=changes).returning(
            follows.c.id, follows.c.created_ms
        )
    )
    row = kept.one()
    return replace(record, id=row.id, created_ms=row.created_ms)


async def set_state(tx: Transaction, ids: Iterable[int], state: FollowState, now_ms: int) -> None:
    await tx.execute(update(follows).where(follows.c.id.in_(list(ids))).values(state=state.value, updated_ms=now_ms))


async def delete_follows(tx: Transaction, ids: Iterable[int]) -> None:
    await tx.execute(delete(follows).where(follows.c.id.in_(list(ids))))
