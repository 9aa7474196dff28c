"""A database remembers whose it is: under another URL every id of ours would change, and peers would see double."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import yaml
from integration.house import run, wait_until
from sqlalchemy import func, insert, inspect, select, text
from support.servers.process import free_port

from federation.tables import follows
from foundation.clock import ManualClock
from foundation.database import Database, Transaction
from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics
from outbox.log import FOLLOWERS, Activity, ActivityLog, Kind
from service.app import Service
from service.commands.backfill import Wish, backfill
from service.config import Config, Instance, Listen, Storage
from service.config.storage import parse_database
from service.config.values import parse_origin
from service.doctor import stores
from service.doctor.command import surroundings_of
from service.doctor.model import Status
from service.moving.command import move
from service.storage.belonging import Moved, adopt, owner_of, settle
from service.storage.migrate import migrate
from views.model import VideoDraft
from views.tables import videos

EVERY_DATABASE = True

OLD, NEW, TRIED = (parse_origin(f"{url}") for url in ("https://a.example", "https://b.example", "http://127.0.0.1:80"))
UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"


async def owner(db: Database) -> str | None:
    async with db.read() as tx:
        return await owner_of(tx)


async def count(db: Database, table: object) -> int:
    async with db.read() as tx:
        return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())


async def ids(db: Database) -> list[tuple[str, str]]:
    async with db.read() as tx:
        return [tuple(row) for row in await tx.execute(select(videos.c.url, videos.c.origin).order_by(videos.c.number))]


async def put_history(db: Database) -> None:
    """A video of ours and one of another instance, a follower, and a word to it."""
    common = {"name": "x", "channel": "main", "privacy": "public", "duration_s": 1, "published_ms": 1, "updated_ms": 1}
    ours = {"uuid": UUID, "url": f"{OLD}/videos/watch/{UUID}", "origin": "a.example", "local": True}
    theirs = {"uuid": UUID[::-1], "url": "https://far.example/a.example/1", "origin": "far.example", "local": False}
    texts = dict.fromkeys(("key", "direction", "host", "actor", "inbox", "follow_id", "object", "state"), "x")
    told = Activity(f"{OLD}/1", Kind.ANNOUNCE, "s", "a", b"{}", FOLLOWERS)

    async def work(tx: Transaction) -> None:
        for video in (ours, theirs):
            await tx.execute(insert(videos).values(common | video))
        await tx.execute(insert(follows).values(texts | {"created_ms": 1, "updated_ms": 1}))
        await ActivityLog(db).append(tx, told, 1)

    await db.write(work)


async def test_the_first_start_takes_possession_and_another_name_is_refused(database: Database) -> None:
    clock = ManualClock()
    await settle(database, OLD, clock)
    await put_history(database)
    await settle(database, OLD, clock)
    with pytest.raises(ConfigError, match=r"instance.url.*b\.example.*belongs to https://a\.example.*fediviews adopt"):
        await settle(database, NEW, clock)
    assert await owner(database) == str(OLD)
    assert await ids(database) == [(f"{OLD}/videos/watch/{UUID}", "a.example"), THEIRS]


async def test_adopting_renames_what_is_ours_and_leaves_the_rest(database: Database) -> None:
    clock = ManualClock()
    assert await adopt(database, OLD, clock) is None
    await put_history(database)
    assert await adopt(database, NEW, clock) == Moved(str(OLD), follows=1)
    assert await ids(database) == [(f"{NEW}/videos/watch/{UUID}", "b.example"), THEIRS]
    assert await count(database, follows) == 0
    assert await ActivityLog(database).heads(0) == {}
    await settle(database, NEW, clock)
    assert await adopt(database, NEW, clock) is None


THEIRS = ("https://far.example/a.example/1", "far.example")


async def test_what_was_tried_out_on_loopback_moves_by_itself(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    await settle(database, TRIED, clock)
    await put_history(database)
    await settle(database, OLD, clock)
    assert "1 follows ended" in caplog.text
    assert await owner(database) == str(OLD)
    with pytest.raises(ConfigError):
        await settle(database, TRIED, clock)


def configured(tmp_path: Path, url: str, database: str) -> Config:
    storage = Storage(directory=tmp_path / "data", database=parse_database(database))
    return Config(Instance(url=parse_origin(url)), listen=Listen(port=0, shutdown_grace_ms=0), storage=storage)


async def test_a_service_refuses_to_start_and_the_doctor_says_why(tmp_path: Path, database_url: str) -> None:
    await Service.prepare(configured(tmp_path, str(OLD), database_url))
    moved = configured(tmp_path, str(NEW), database_url)
    with pytest.raises(ConfigError, match="fediviews adopt"):
        await Service.create(moved)
    async with surroundings_of(moved) as around:
        found = await stores.database(around)
    assert found[0].status is Status.FAILED
    assert "a.example" in found[0].says


async def test_the_doctor_has_nothing_against_what_a_start_would_move(tmp_path: Path, database_url: str) -> None:
    await Service.prepare(configured(tmp_path, str(TRIED), database_url))
    async with surroundings_of(configured(tmp_path, str(OLD), database_url)) as around:
        found = await stores.database(around)
    assert found[0].status is Status.OK


async def test_a_copy_belongs_to_whom_its_source_does(tmp_path: Path, database_url: str) -> None:
    source = f"sqlite:///{tmp_path}/source.sqlite"
    db = await Database.open(source, clock=ManualClock(), metrics=Metrics())
    await migrate(db)
    await settle(db, OLD, ManualClock())
    await db.close()
    # Who started the service on the new database once, to see whether it can be reached, has not filled it.
    await Service.prepare(configured(tmp_path / "other", str(TRIED), database_url))
    await move(source, database_url, io.StringIO())
    db = await Database.open(database_url, clock=ManualClock(), metrics=Metrics())
    assert await owner(db) == str(OLD)
    await db.close()


async def test_the_command_line_says_what_to_do_and_does_it(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"

    def write(url: str) -> None:
        listen = {"port": free_port()}
        config.write_text(
            yaml.safe_dump({"instance": {"url": url}, "listen": listen, "storage": {"directory": "data"}})
        )

    write(str(OLD))
    nothing = await run("adopt", config)
    assert (nothing.status, "no such file" in nothing.err) == (1, True)
    service = await Service.create(configured(tmp_path, str(OLD), f"sqlite:///{tmp_path}/data/fediviews.sqlite"))
    await service.start()
    try:
        await service.views.catalog.put_local(VideoDraft(UUID, "A video", 60))
        write(str(NEW))
        busy = await run("adopt", config)
        assert busy.status == 1, busy.err
        assert "stop" in busy.err
    finally:
        await service.stop()
    refused = await run("serve", config)
    assert refused.status == 2
    assert "instance.url" in refused.err
    assert "fediviews adopt" in refused.err
    assert len(refused.err.splitlines()) == 1
    done = await run("adopt", config)
    assert done.status == 0, done.err
    again = await Service.create(configured(tmp_path, str(NEW), f"sqlite:///{tmp_path}/data/fediviews.sqlite"))
    video = await again.views.catalog.by_uuid(UUID)
    await again.stop()
    assert video is not None
    assert video.url.startswith(f"{NEW}/")


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Service]:
    service = await Service.create(config)
    try:
        await service.start()
        await put_history(service.ground.database)
        yield service
    finally:
        await service.stop()


@pytest.mark.parametrize(("directory", "says"), [("same", "another process already uses"), ("other", "is in use")])
async def test_a_start_beside_a_running_service_fails_and_changes_nothing(
    tmp_path: Path, database_url: str, directory: str, says: str
) -> None:
    tried = configured(tmp_path / "same", str(TRIED), database_url)
    async with running(tried) as service:
        with pytest.raises(StorageUnavailable, match=says):
            await Service.create(configured(tmp_path / directory, str(NEW), database_url))
        assert await owner(service.ground.database) == str(TRIED)
        assert await count(service.ground.database, follows) == 1
    # It was not taken away, and nothing of it is held.
    await Service.prepare(tried)
    await Service.prepare(configured(tmp_path / directory, str(NEW), database_url))


async def test_no_release_migrates_under_one_that_runs(database_url: str, database: Database) -> None:
    # Tables without a revision: an earlier release's, as far as anybody can tell.
    using = await Database.open(database_url, clock=ManualClock(), metrics=Metrics(), in_use=True)
    try:
        with pytest.raises(StorageUnavailable, match="is in use"):
            await migrate(database)
    finally:
        await using.close()


async def test_the_use_comes_back_with_the_connection(database_url: str, database: Database) -> None:
    using = await Database.open(database_url, clock=ManualClock(), metrics=Metrics(), in_use=True)
    try:
        if using.dialect == "postgresql":
            pid = await using.write(_pid)
            await database.write(lambda tx: tx.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}))
            await wait_until(lambda: _writes(using))
            assert await using.write(_pid) != pid
        with pytest.raises(StorageUnavailable, match="is in use"):
            await database.write(database.check_free)
    finally:
        await using.close()
    await database.write(database.check_free)


async def _pid(tx: Transaction) -> int:
    return int((await tx.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def _writes(db: Database) -> bool:
    with suppress(StorageUnavailable):
        await db.write(lambda tx: tx.execute(text("SELECT 1")))
        return True
    return False


async def test_a_command_beside_the_service_changes_nothing_of_whose_it_is(tmp_path: Path, database_url: str) -> None:
    wish = Wish(recount=True)
    old, tried, new = (configured(tmp_path, str(url), database_url) for url in (OLD, TRIED, NEW))
    async with running(tried) as service:
        with pytest.raises(ConfigError, match=r"is still of http://127\.0\.0\.1.*start the service once"):
            await backfill(new, wish)
        assert await count(service.ground.database, follows) == 1
    with pytest.raises(ConfigError, match="is still of"):
        await backfill(new, wish)
    await Service.prepare(old)
    with pytest.raises(ConfigError, match="fediviews adopt"):
        await backfill(new, wish)
    db = await Database.open(database_url, clock=ManualClock(), metrics=Metrics())
    assert await owner(db) == str(OLD)
    await db.close()
    assert await backfill(old, wish) == 0


async def test_a_command_makes_no_database(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(StorageUnavailable, match=r"start (the|this release.s) service once"):
        await backfill(configured(tmp_path, str(OLD), database_url), Wish(recount=True))
    db = await Database.open(database_url, clock=ManualClock(), metrics=Metrics())
    async with db.read() as tx:
        assert await tx.run_sync(lambda connection: inspect(connection).get_table_names()) == []
    await db.close()
