"""Everything from one database into another and back: the same rows, the same numbers to come, also after a kill."""

from __future__ import annotations

import asyncio
import fcntl
import io
import random
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.house import ROOT, wait_until
from sqlalchemy import delete, func, insert, select, text, update

from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import ConfigError, FediviewsError
from foundation.metrics import Metrics
from outbox.log import FOLLOWERS, Activity, ActivityLog, Kind
from service.moving import ledger
from service.moving.command import move
from service.moving.copying import tables
from service.storage import schema
from service.storage.migrate import migrate
from views.stats import rows as stay_rows
from views.stats.bulk import insert_rows
from views.stats.model import Stay, Traits
from views.tables import HOURS, resume_positions, videos
from views.tallies import HOUR_MS

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
NOW_MS = 1_780_000_000_000
ODD = ("", "ä\N{ROCKET}", "a'b\"c\\d\n\t", "x" * 90)
Content = dict[str, list[tuple[Any, ...]]]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url, clock=ManualClock(NOW_MS), metrics=Metrics())
    try:
        yield database
    finally:
        await database.close()


def some(column: Any, at: int, chance: random.Random) -> Any:
    """A value that fits, different for each row where it has to be."""
    kind = column.type.python_type
    if column.nullable and column.name != "seq" and chance.random() < 0.3:
        return None
    if kind is bool:
        return chance.random() < 0.5
    if kind is int:
        return 0 if column.name == "duration_s" else NOW_MS + at if column.name.endswith("_ms") else at
    if kind is bytes:
        return at.to_bytes(8, "big") + bytes(chance.randrange(256) for _ in range((column.type.length or 32) - 8))
    length = getattr(column.type, "length", None) or 200
    return f"{at}{chance.choice(ODD)}"[:length]


async def fill(db: Database, number: int, seed: int = 1) -> None:
    """Rows in every table there is, whatever will be added to the product; stays over years."""
    chance = random.Random(seed)
    await migrate(db)

    async def work(tx: Transaction) -> None:
        for table in tables():
            if table.name in ("viewer_stays", "stay_ids", "video_views"):
                continue
            values = [{c.name: some(c, at, chance) for c in table.c} for at in range(1, number + 1)]
            await tx.execute(insert(table), values)
        await tx.execute(update(videos).values(views=videos.c.number))

    await db.write(work)
    stays = [
        Stay(
            at % 7, str(at), f"https://a.example/{at}", start, start + 9, 9, ((0, 5), (7, 9)), Traits("FR", ODD[at % 4])
        )
        for at in range(number)
        for start in (NOW_MS - chance.randrange(900 * 24 * HOUR_MS),)
    ]
    await db.write(lambda tx: stay_rows.insert(tx, stays, (1, 2, 3)))
    hours = schema.load().tables["video_views"]
    values = [
        {"video_number": at, "hour_ms": HOUR_MS * chance.randrange(400_000, 490_000), "local": at % 2 == 0, "views": at}
        for at in range(1, number + 1)
    ]

    async def put_hours(tx: Transaction) -> None:
        await HOURS.ready(tx, ((row["local"], row["hour_ms"]) for row in values))
        await tx.execute(insert(hours), values)

    await db.write(put_hours)


async def content(db: Database) -> Content:
    found: Content = {}
    async with db.read() as tx:
        for table in tables():
            order = list(table.primary_key.columns)
            found[table.name] = sorted(tuple(row) for row in await tx.execute(select(*table.c).order_by(*order)))
    assert all(found.values()), [name for name, kept in found.items() if not kept]
    return found


async def moved(source: str, target: str, batch: int = 40) -> str:
    out = io.StringIO()
    assert await move(source, target, out, batch=batch) == 0
    return out.getvalue()


@POSTGRESQL
async def test_everything_arrives_there_and_back(tmp_path: Path, database_url: str) -> None:
    here, back = f"sqlite:///{tmp_path}/here.sqlite", f"sqlite:///{tmp_path}/back.sqlite"
    async with opened(here) as db:
        await fill(db, 130)
        sent = await content(db)
    said = await moved(here, database_url)
    assert "100%" in said
    assert "counted and compared" in said
    async with opened(database_url) as db:
        assert await content(db) == sent
        assert not await ledger.is_begun(db)
    await moved(database_url, back)
    async with opened(back) as db:
        assert await content(db) == sent


@POSTGRESQL
@pytest.mark.parametrize("back", [False, True])
async def test_numbers_once_given_are_not_given_again(tmp_path: Path, database_url: str, back: bool) -> None:
    """Those of rows that are gone neither: cursors of peers compare them."""
    file = f"sqlite:///{tmp_path}/one.sqlite"
    source, target = (database_url, file) if back else (file, database_url)

    async def say(db: Database, what: str) -> None:
        activity = Activity(f"https://a.example/{what}", Kind.ANNOUNCE, "s", "a", b"{}", FOLLOWERS)
        await db.write(lambda tx: ActivityLog(db).append(tx, activity, NOW_MS))

    async def heard(db: Database) -> int:
        log = ActivityLog(db)
        return (await log.heads(0)).get(FOLLOWERS, 0)

    async with opened(source) as db:
        await fill(db, 3)
        await db.write(lambda tx: tx.execute(delete(schema.load().tables["activity_log"])))
        for at in range(5):
            await say(db, str(at))
        last = await heard(db)
        await db.write(lambda tx: tx.execute(delete(schema.load().tables["activity_log"])))
    await moved(source, target)
    async with opened(target) as db:
        await say(db, "new")
        assert await heard(db) > last
        fresh = Stay(1, "u", "https://a.example/fresh", NOW_MS, NOW_MS, 9, ((0, 5),), Traits())
        assert await db.write(lambda tx: stay_rows.insert(tx, [fresh], (1,))) == [fresh]
        async with db.read() as tx:
            highest = (await tx.execute(select(func.count(), func.max(videos.c.number)))).one()
        number = await db.write(lambda tx: tx.scalar(insert(videos).values(a_video()).returning(videos.c.number)))
        assert number > highest[1]


def a_video() -> dict[str, Any]:
    texts = dict.fromkeys(("name", "channel", "privacy"), "x")
    return {
        "uuid": str(uuid.uuid4()),
        "url": "u",
        "origin": "o",
        "local": True,
        "duration_s": 1,
        **texts,
    } | dict.fromkeys(("published_ms", "updated_ms"), 1)


async def process(source: str, target: str) -> asyncio.subprocess.Process:
    words = ("-m", "service.cli", "migrate", "--from", source, "--to", target, "--batch", "3")
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *words, stdout=pipe, stderr=pipe, cwd=ROOT)


@POSTGRESQL
@pytest.mark.parametrize("back", [False, True])
async def test_a_copy_that_is_killed_goes_on_where_it_was(tmp_path: Path, database_url: str, back: bool) -> None:
    file = f"sqlite:///{tmp_path}/one.sqlite"
    source, target = (database_url, file) if back else (file, database_url)
    async with opened(source) as db:
        await fill(db, 90)
        sent = await content(db)
    killed = await process(source, target)

    assert killed.stderr is not None
    async with asyncio.timeout(60):
        while not (await killed.stderr.readline()).startswith(b" 20%"):
            assert killed.returncode is None
    killed.send_signal(signal.SIGKILL)
    await killed.communicate()
    async with opened(target) as db:
        before = await ledger.progress_of(db)
        assert 0 < sum(each.done for each in before.values()) < len(tables())
    await nobody_is_connected(database_url)
    with pytest.raises(FediviewsError, match="was not finished"):
        await moved(f"sqlite:///{await other(tmp_path)}", target)
    await nobody_is_connected(database_url)
    again = await process(source, target)
    _, said = await again.communicate()
    assert again.returncode == 0, said.decode()
    async with opened(target) as db:
        assert await content(db) == sent


async def nobody_is_connected(url: str) -> None:
    """The server hears of the end of a process a moment later."""

    async def gone() -> bool:
        async with opened(url) as db, db.read() as tx:
            asked = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fediviews'")
            return int((await tx.execute(asked)).scalar_one()) <= 2

    await wait_until(gone, what="its connections are still there")


async def other(tmp_path: Path) -> Path:
    path = tmp_path / "other.sqlite"
    async with opened(f"sqlite:///{path}") as db:
        await migrate(db)
    return path


async def refused(source: str, target: str, match: str) -> None:
    with pytest.raises(FediviewsError, match=match):
        await moved(source, target)


@POSTGRESQL
async def test_what_cannot_be_is_refused_and_says_what_to_do(tmp_path: Path, database_url: str) -> None:
    here = f"sqlite:///{tmp_path}/here.sqlite"
    await refused(here, database_url, "no such file")
    await refused(here, here, "the same database")
    async with opened(here) as db:
        await migrate(db)
        await refused(here, database_url, "stop the service first")
    async with opened(database_url) as db:
        await refused(here, database_url, "a service is connected")
        await fill(db, 2)
    await refused(here, database_url, "not empty: there are rows in")
    async with opened(here) as db:
        await db.write(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '0000'")))
    await refused(here, f"sqlite:///{tmp_path}/new.sqlite", "not of this release")


async def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    here, there = f"sqlite:///{tmp_path}/here.sqlite", f"sqlite:///{tmp_path}/new/dir/there.sqlite"
    async with opened(here) as db:
        await db.write(lambda tx: tx.execute(text("CREATE TABLE something (of TEXT)")))
    await refused(here, there, "not of this release")
    await refused("postgresql://nobody@127.0.0.1:1/x", there, "does not answer")
    assert files(tmp_path) == ["here.sqlite"]
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("somebody's")
    await refused(here, there, "not of this release")
    assert files(tmp_path) == ["file", "here.sqlite", "new"]


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*"))


async def test_a_service_beside_the_file_is_noticed_and_kept_from_starting(tmp_path: Path) -> None:
    here, there = f"sqlite:///{tmp_path}/here.sqlite", f"sqlite:///{tmp_path}/there.sqlite"
    async with opened(here) as db:
        await fill(db, 2)
    (tmp_path / "live").mkdir()
    with (tmp_path / "live" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        await refused(here, there, "a service is running")
        fcntl.flock(lock, fcntl.LOCK_UN)
    await moved(here, there)


@POSTGRESQL
async def test_a_row_that_does_not_arrive_is_noticed(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"sqlite:///{tmp_path}/here.sqlite"
    async with opened(here) as db:
        await fill(db, 5)
    taking = "service.moving.copying.insert_rows"

    async def lossy(tx: Transaction, columns: Sequence[Any], rows: Sequence[Any]) -> None:
        await insert_rows(tx, columns, rows[1:] if columns[0].table is resume_positions else rows)

    async def altering(tx: Transaction, columns: Sequence[Any], rows: Sequence[Any]) -> None:
        await insert_rows(
            tx, columns, [(*row[:-1], 7) if columns[0].table is resume_positions else row for row in rows]
        )

    for broken, match in ((lossy, "5 rows in the source, 4 in the target"), (altering, "differ")):
        with monkeypatch.context() as patch:
            patch.setattr(taking, broken)
            await refused(here, f"sqlite:///{tmp_path}/{match[:1]}.sqlite", match)


async def test_what_is_no_database_is_a_wrong_call(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        await moved("mysql://a/b", f"sqlite:///{tmp_path}/x")
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough to be looked at" * 100)
    await refused(f"sqlite:///{tmp_path}/text.sqlite", f"sqlite:///{tmp_path}/x", "not a database")
