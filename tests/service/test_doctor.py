"""Every check finds what it is there for: on real files, databases, Redis servers and instances."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from integration.conftest import MakeInstance
from integration.conftest import http as http
from integration.conftest import instance as instance
from integration.conftest import key_directories as key_directories
from integration.conftest import stack as stack
from integration.house import ROOT, TOKEN, UUID, Instance
from sqlalchemy import text
from support.servers import RedisServer, redis_server
from support.webhook_receiver import KEY, SECRET, Receiver

from federation.keys import KeyPair
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from foundation.redis.facts import facts_of
from outbox.webhooks.bodies import make_event
from outbox.webhooks.queue import WebhookQueue
from service.app import Service
from service.building.webhooks import hooks_of
from service.config import Config, Livekit, LivekitKey, LivekitRoom, Peer, Secret, Storage, Webhook, load_config
from service.config import Database as DatabaseAddress
from service.config.storage import DatabaseKind, parse_live
from service.config.values import parse_origin
from service.doctor import hooks, identity, peers, places, stores
from service.doctor.command import doctor, lines, report, surroundings_of
from service.doctor.examination import CHECKS, examine, worst
from service.doctor.model import Finding, Status, Surroundings, failed, ok, warning
from service.storage.migrate import migrate

OK, WARNING, FAILED = Status.OK, Status.WARNING, Status.FAILED


@pytest.fixture
async def running(instance: MakeInstance) -> Instance:
    return await instance()


@pytest.fixture
async def around(running: Instance) -> AsyncIterator[Surroundings]:
    """As the command line looks at it, from beside the service."""
    async with surroundings_of(running.service.config) as found:
        yield found


def of(around: Surroundings, **changes: object) -> Surroundings:
    return dataclasses.replace(around, config=dataclasses.replace(around.config, **changes))


async def test_a_service_that_is_well(running: Instance, around: Surroundings) -> None:
    findings = await examine(around)
    assert worst(findings) is OK, findings
    assert {each.check for each in findings} >= {"secret files", "disk", "database", "live store", "name", "webfinger"}


async def test_administrators_get_the_same_over_rest(running: Instance) -> None:
    answer = await running.ask("GET", "/api/v1/server/doctor")
    assert answer.status == 200
    assert answer.body["status"] == "ok"
    assert {"check": "live store", "status": "ok", "says": "memory, with a journal", "advice": None} in answer.body[
        "data"
    ]
    assert (await running.ask("GET", "/api/v1/server/doctor", admin=False)).status == 401


async def test_nothing_is_made_where_nothing_was(tmp_path: Path) -> None:
    config = Config(storage=Storage(directory=tmp_path / "data"))
    out = io.StringIO()
    assert await doctor(config, out) == 0
    assert out.getvalue().count("start the service once") == 3
    assert not config.storage.directory.exists()


async def test_the_shipped_configuration_is_tried_out_and_nothing_has_failed(tmp_path: Path) -> None:
    shipped = load_config(ROOT / "config.yaml", {})
    config = dataclasses.replace(shipped, storage=Storage(directory=tmp_path))
    await Service.prepare(config)
    out = io.StringIO()
    assert await doctor(config, out) == 0, out.getvalue()
    assert "good to try things out" in out.getvalue()
    assert "acct:peertube@127.0.0.1:8080 was not asked for" in out.getvalue()


# Secrets


async def test_secrets_that_others_may_read(running: Instance, around: Surroundings) -> None:
    secret = around.config.storage.directory / "viewer-secret"
    secret.chmod(0o640)
    [found] = await identity.files(around)
    assert found.status is FAILED
    assert f"chmod 600 {secret}" in found.advice


async def test_a_key_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "instance.pem").write_text("no key")
    (tmp_path / "instance.pem").chmod(0o600)
    async with surroundings_of(Config(storage=Storage(directory=tmp_path))) as around:
        [found] = await identity.files(around)
    assert found.status is FAILED


# Our name


async def test_another_key_behind_our_name(running: Instance) -> None:
    directory = running.service.config.storage.directory
    KeyPair.generate(2048).save(directory / "instance.pem")
    async with surroundings_of(running.service.config) as around:
        [found] = await identity.name(around)
    assert found.status is FAILED
    assert "another key" in found.says


async def test_nobody_behind_our_name(running: Instance, around: Surroundings) -> None:
    await running.service.stop()
    for check in (identity.name, identity.webfinger):
        [found] = await check(around)
        assert found.status is FAILED
        assert found.advice


async def test_a_private_address_is_not_taken_for_reachable_or_not(running: Instance) -> None:
    federation = dataclasses.replace(running.service.config.federation, allow_private_addresses=False)
    config = dataclasses.replace(running.service.config, federation=federation)
    async with surroundings_of(config) as around:
        [found] = await identity.name(around)
        [finger] = await identity.webfinger(around)
    assert found.status is WARNING
    assert "cannot be known" in found.says
    assert finger.status is OK


async def test_webfinger_of_somebody_else(running: Instance, around: Surroundings) -> None:
    """A proxy that hands over everything but this path."""

    async def answers(_: web.Request) -> web.Response:
        return web.json_response({"links": [{"rel": "self", "href": "https://other.example/users/a"}, 5]})

    async with serving(answers) as url:
        assert around.identity is not None
        elsewhere = dataclasses.replace(around.identity, base_url=url)
        [found] = await identity.webfinger(dataclasses.replace(around, identity=elsewhere))
    assert found.status is FAILED
    assert "other.example" in found.says


def serving(answers: object) -> Serving:
    return Serving(answers)


class Serving:
    """A server that gives one answer to everything."""

    def __init__(self, answers: object) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answers)  # type: ignore[arg-type]
        self._runner = web.AppRunner(app)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


# Peers


async def test_a_signed_round_trip_to_each_peer(instance: MakeInstance, around: Surroundings) -> None:
    friend, gone = await instance(), await instance()
    await gone.service.stop()

    async def refuses(request: web.Request) -> web.Response:
        if request.path == "/.well-known/nodeinfo":
            actor = {"rel": "https://www.w3.org/ns/activitystreams#Application", "href": f"http://{request.host}/actor"}
            return web.json_response({"links": [actor]})
        assert "Signature" in request.headers
        return web.Response(status=403)

    async with serving(refuses) as url:
        hosts = (friend.host, url.removeprefix("http://"), gone.host)
        listed = (*(Peer(host=host) for host in hosts), Peer(host="blocked.example", block=True))
        good, refusing, away = await peers.round_trips(of(around, peers=listed))
    assert good.status is OK
    assert "signed request" in good.says
    assert refusing.status is FAILED
    assert "403" in refusing.says
    assert away.status is FAILED
    assert "does not answer" in away.says


async def test_a_peer_whose_clock_is_elsewhere(running: Instance, instance: MakeInstance, around: Surroundings) -> None:
    friend = await instance()
    limit = around.config.federation.clock_skew_ms
    for ahead_ms, status in ((0, OK), (60_000, WARNING), (-60_000, WARNING), (limit + 60_000, FAILED)):
        ours = ManualClock(around.clock.now_ms() - ahead_ms)
        around.http._clock = ours
        [found] = await peers.round_trips(of(around, peers=(Peer(host=friend.host),)))
        assert found.status is status, found
        assert ("clocks agree" in found.says) == (status is OK)


async def test_no_clock_at_all(around: Surroundings) -> None:
    [found] = await peers.clock(dataclasses.replace(around, clock=ManualClock(1_000)))
    assert found.status is FAILED


# Stores


async def test_a_schema_of_another_release(running: Instance, around: Surroundings) -> None:
    database = running.service.ground.database
    await database.write(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    found, *_ = await stores.database(around)
    assert found.status is WARNING
    assert "9999" in found.says


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_postgresql_whose_commits_do_not_last(
    running: Instance, around: Surroundings, database_url: str, clock: ManualClock
) -> None:
    database = await Database.open(database_url, clock=clock, metrics=Metrics())
    try:
        await migrate(database)
        there, safety = await stores.database(dataclasses.replace(around, database=database))
    finally:
        await database.close()
    assert there.status is OK
    # The servers of tests run so.
    assert safety.status is WARNING
    assert "fsync" in safety.says


async def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    address = DatabaseAddress(DatabaseKind.POSTGRESQL, url=f"postgresql://me:hush@/name?host={tmp_path}")
    async with surroundings_of(Config(storage=Storage(directory=tmp_path, database=address))) as around:
        [found] = await stores.database(around)
    assert found.status is FAILED
    assert "hush" not in found.says


def with_redis(around: Surroundings, url: str) -> Surroundings:
    return of(around, storage=dataclasses.replace(around.config.storage, live=parse_live(url)))


async def test_a_redis_that_forgets_and_evicts(around: Surroundings, live_redis: RedisServer) -> None:
    live_redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        there, persistence, memory = await stores.live(with_redis(around, live_redis.url))
    finally:
        live_redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert (there.status, persistence.status, memory.status) == (OK, WARNING, WARNING)
    assert "appendonly yes" in persistence.advice
    assert "noeviction" in memory.advice


async def test_a_redis_that_is_well(around: Surroundings) -> None:
    with redis_server() as server:
        server.call("CONFIG", "SET", "appendonly", "yes")
        found = await stores.live(with_redis(around, server.url))
        assert [each.status for each in found] == [OK] * 3
        assert "everysec" in found[1].says
        server.call("CONFIG", "SET", "appendfsync", "no")
        assert (await stores.live(with_redis(around, server.url)))[1].status is WARNING
        url = server.url
    [gone] = await stores.live(with_redis(around, url))
    assert gone.status is FAILED


@pytest.mark.parametrize(
    ("info", "software", "number"),
    [
        ({"redis_version": "6.0.16"}, "Redis", (6, 0, 16)),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.0"}, "Valkey", (8, 1, 0)),
        ({"node:1": {"redis_version": b"7.0"}}, "Redis", (7, 0)),
        ({}, "Redis", (0,)),
    ],
)
def test_facts_of_a_redis(info: dict[str, object], software: str, number: tuple[int, ...]) -> None:
    facts = facts_of(info, {b"appendfsync": b"everysec"})
    assert (facts.software, facts.version_number, facts.append_fsync) == (software, number, "everysec")


async def test_a_disk_that_is_full(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    for full, low, status in ((2**62, 2**62, FAILED), (0, 2**62, WARNING), (0, 0, OK)):
        monkeypatch.setattr(stores, "FULL_BELOW", full)
        monkeypatch.setattr(stores, "LOW_BELOW", low)
        assert [each.status for each in await stores.disk(around)] == [status]


# Places


async def test_a_proxy_that_is_not_trusted(around: Surroundings) -> None:
    assert [each.status for each in await places.proxy(around)] == [OK]
    noticed = dataclasses.replace(around, proxy_hint=lambda: "90% of the viewers came from one address.")
    assert [each.status for each in await places.proxy(noticed)] == [WARNING]
    open_to_all = dataclasses.replace(around.config.listen, host="0.0.0.0")
    secure = dataclasses.replace(around.config.instance, url=parse_origin("https://here.example"))
    assert [each.status for each in await places.proxy(of(around, listen=open_to_all, instance=secure))] == [WARNING]


# The whole


async def test_a_check_that_stumbles_does_not_hide_the_others(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumbles(_: Surroundings) -> list[Finding]:
        raise ValueError("not meant for people")

    monkeypatch.setattr("service.doctor.examination.CHECKS", (("odd", stumbles), *CHECKS))
    findings = await examine(around)
    assert findings[0].status is FAILED
    assert "not meant" not in findings[0].says
    assert {each.check for each in findings} >= {"secret files", "disk", "database", "live store", "name"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    findings = [ok("a", "fine"), warning("bb", "hm", "do this"), failed("c", "no", "do that")]
    assert lines(findings, io.StringIO()) == [
        "ok       a   fine",
        "warning  bb  hm -> do this",
        "failed   c   no -> do that",
    ]
    assert lines(findings, Terminal())[2].startswith("\033[31mfailed")
    monkeypatch.setenv("NO_COLOR", "1")
    assert lines(findings, Terminal()) == lines(findings, io.StringIO())
    assert report(findings)["status"] == "failed"
    assert worst([]) is OK


async def test_the_exit_status_says_whether_anything_failed(running: Instance) -> None:
    out = io.StringIO()
    assert await doctor(running.service.config, out, as_json=True) == 0
    assert json.loads(out.getvalue())["status"] == "ok"
    (running.service.config.storage.directory / "viewer-secret").chmod(0o644)
    assert await doctor(running.service.config, io.StringIO()) == 1
    assert TOKEN not in out.getvalue()


# Webhooks and LiveKit


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_webhooks_are_tried(around: Surroundings, aiohttp_server: Any) -> None:
    receiver = await Receiver().start(aiohttp_server)
    good = Webhook(url=receiver.url, key=KEY, secret=Secret(SECRET))
    wrong = Webhook(url=receiver.url + "?other", key=KEY, secret=Secret("not-the-one-that-the-receiver-knows"))
    away = Webhook(url="http://127.0.0.1:9/hooks", key=KEY, secret=Secret("a-secret-of-thirty-one-letters!"))
    found = await hooks.webhooks(of(around, webhooks=(good, wrong, away)))
    assert [each.status for each in found] == [OK, FAILED, FAILED, WARNING]
    assert "status_401" in found[1].says
    assert "unreachable" in found[2].says
    assert [event["event"] for event in receiver.heard] == ["test"]
    assert SECRET not in str(found)


async def test_a_webhook_that_is_stuck_is_seen(around: Surroundings, running: Instance, aiohttp_server: Any) -> None:
    receiver = await Receiver().start(aiohttp_server)
    stuck = of(around, webhooks=(Webhook(url=receiver.url, key=KEY, secret=Secret(SECRET)),))
    (hook,) = hooks_of(stuck.config)
    old = make_event("peer_up", "other.example", around.clock.now_ms() - 2 * hooks.STUCK_MS, {})
    database = running.service.ground.database
    await database.write(lambda tx: WebhookQueue(database).add(tx, [(hook, old)]))
    found = await hooks.webhooks(stuck)
    assert [each.status for each in found] == [OK, WARNING]
    assert "1 events wait" in found[1].says


async def test_livekit_rooms_have_to_be_live_videos(around: Surroundings, running: Instance) -> None:
    key, room = LivekitKey("APIkey", Secret("k" * 40)), LivekitRoom("my-room", UUID)
    assert await hooks.livekit(around) == []
    (missing,) = await hooks.livekit(of(around, livekit=Livekit((key,), (room,))))
    assert missing.status is FAILED
    await running.put_video()
    (not_live,) = await hooks.livekit(of(around, livekit=Livekit((key,), (room,))))
    assert not_live.status is WARNING
    await running.put_video(isLive=True, duration=0)
    assert [each.status for each in await hooks.livekit(of(around, livekit=Livekit((key,), (room,))))] == [OK]
    short = LivekitKey("APIkey", Secret("devsecret"))
    assert [each.status for each in await hooks.livekit(of(around, livekit=Livekit((short,))))] == [WARNING, WARNING]
