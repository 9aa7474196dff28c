"""``fediviews doctor``: the checks beside the service, whether it runs or not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TextIO

from federation.actors import ActorClient
from federation.own_keys import ED25519_NAME, RSA_NAME, KeyRing, OwnKeys, key_files
from federation.signatures.signer import Signer
from foundation.clock import Clock, SystemClock
from foundation.database import Database
from foundation.errors import ConfigError, StorageUnavailable
from foundation.http import HttpClient
from foundation.metrics import Metrics
from service.building.federation_tower import instance_identity
from service.building.lookups import lookups_of
from service.building.user_agent import user_agent
from service.commands.terminal import Colour, painted
from service.config import SQLITE_FILE, Config
from service.doctor.examination import examine, worst
from service.doctor.model import Finding, Status, Surroundings

_COLOURS = {Status.OK: Colour.GREEN, Status.WARNING: Colour.YELLOW, Status.FAILED: Colour.RED}


async def doctor(config: Config, out: TextIO, *, as_json: bool = False) -> int:
    """0 unless something failed; warnings are no failure."""
    async with surroundings_of(config) as around:
        findings = await examine(around)
    out.write(json.dumps(report(findings), indent=2) + "\n" if as_json else "\n".join(lines(findings, out)) + "\n")
    return 1 if worst(findings) is Status.FAILED else 0


def report(findings: Sequence[Finding]) -> dict[str, Any]:
    """As ``GET /api/v1/server/doctor`` answers."""
    data = [
        {"check": each.check, "status": each.status.value, "says": each.says, "advice": each.advice or None}
        for each in findings
    ]
    return {"status": worst(findings).value, "data": data}


def lines(findings: Sequence[Finding], out: TextIO) -> list[str]:
    width = max((len(each.check) for each in findings), default=0)
    found = []
    for each in findings:
        status = painted(each.status.value.ljust(7), _COLOURS[each.status], out)
        advice = f" -> {each.advice}" if each.advice else ""
        found.append(f"{status}  {each.check.ljust(width)}  {each.says}{advice}")
    return found


@asynccontextmanager
async def surroundings_of(config: Config) -> AsyncIterator[Surroundings]:
    """What the checks need, beside a service that may run. Nothing is made that is not there."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        http = HttpClient(
            clock,
            Metrics(),
            allow_private_addresses=config.federation.allow_private_addresses,
            allow_http=config.federation.allow_http,
            user_agent=user_agent(str(config.instance.url)),
            resolver=lookups_of(config, clock),
        )
        stack.push_async_callback(http.close)
        database, problem = await _database(config, clock)
        if database is not None:
            stack.push_async_callback(database.close)
        keys = _keys(config, clock)
        around = Surroundings(config, clock, http, database, problem)
        if keys is not None:
            identity = instance_identity(config, keys)
            sign = Signer(f"{identity.actor_url}#{keys.current.fragment}", keys.current.rsa).at(clock)
            around = replace(around, keys=keys, identity=identity, actors=partial(ActorClient, sign=sign))
        yield around


async def _database(config: Config, clock: SystemClock) -> tuple[Database | None, str]:
    storage = config.storage
    path = storage.database.path or storage.directory / SQLITE_FILE
    if storage.database.url is None and not path.exists():
        return None, ""
    url = storage.database.url or f"sqlite:///{path}"
    try:
        return await Database.open(url, clock=clock, metrics=Metrics(), readers=1), ""
    except (StorageUnavailable, ConfigError) as problem:
        return None, str(problem)


def _keys(config: Config, clock: Clock) -> OwnKeys | None:
    directory = config.storage.directory
    if not key_files(directory, RSA_NAME):
        return None
    try:
        # What is not there would be made.
        return KeyRing(directory, clock, with_ed25519=bool(key_files(directory, ED25519_NAME))).keys
    except ConfigError:
        return None
