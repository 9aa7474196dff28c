"""The quarantines of all processes of an instance as one: each keeps what it did not take itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec
from aiohttp import web

from foundation.clock import iso_ms
from inbox.quarantine import Entry, Quarantine
from inbox.replay import QuarantineReplay, Replayed
from outbox.waiting import available
from service.workers.siblings import Siblings

MAX_LISTED = 1_000
REPLAY_WITHIN_S = 30.0
"""Of another process: it waits for the database with every message."""

_PATH = "/quarantine"


class Quarantines:
    """``siblings`` None: there is this process alone. Another one that does not answer is left out."""

    def __init__(self, own: Quarantine, replay: QuarantineReplay, siblings: Siblings | None) -> None:
        self._own = own
        self._replay = replay
        self._siblings = siblings
        if siblings is not None:
            router = siblings.inner.router
            router.add_get(_PATH, self._told)
            router.add_post(f"{_PATH}/replay", available(self._told_to_replay))
            router.add_post(f"{_PATH}/drop", self._told_to_drop)

    async def newest(self, host: str | None) -> dict[str, Any]:
        data = self._listed(host)
        for answer in await self._others("GET", "", host, None):
            data += answer
        data.sort(key=lambda one: str(one["at"]), reverse=True)
        return {"total": len(data[:MAX_LISTED]), "data": data[:MAX_LISTED]}

    async def replay(self, host: str | None, reason: str | None) -> dict[str, int]:
        """Raises StorageUnavailable."""
        sums = asdict(await self._replay(host=host, reason=reason))
        return _added(sums, await self._others("POST", "/replay", host, reason))

    async def drop(self, host: str | None, reason: str | None) -> dict[str, int]:
        own = {"dropped": self._own.drop(host=host, reason=reason)}
        return _added(own, await self._others("POST", "/drop", host, reason))

    def _listed(self, host: str | None) -> list[dict[str, Any]]:
        worker = None if self._siblings is None else self._siblings.worker.index
        entries = self._own.newest(MAX_LISTED, host=host)
        return [_entry(entry, self._own.holds(entry.number), worker) for entry in entries]

    async def _others(self, method: str, path: str, host: str | None, reason: str | None) -> list[Any]:
        if self._siblings is None:
            return []
        query = {name: value for name, value in (("host", host), ("reason", reason)) if value is not None}
        answers = await self._siblings.ask_others(method, _PATH + path, query, REPLAY_WITHIN_S)
        return [msgspec.json.decode(answer) for answer in answers]

    async def _told(self, request: web.Request) -> web.Response:
        return web.json_response(self._listed(request.query.get("host")))

    async def _told_to_replay(self, request: web.Request) -> web.Response:
        query = request.query
        replayed: Replayed = await self._replay(host=query.get("host"), reason=query.get("reason"))
        return web.json_response(asdict(replayed))

    async def _told_to_drop(self, request: web.Request) -> web.Response:
        query = request.query
        return web.json_response({"dropped": self._own.drop(host=query.get("host"), reason=query.get("reason"))})


def _added(sums: dict[str, int], answers: list[dict[str, int]]) -> dict[str, int]:
    return {name: value + sum(answer[name] for answer in answers) for name, value in sums.items()}


def _entry(entry: Entry, replayable: bool, worker: int | None) -> dict[str, Any]:
    fields = asdict(entry)
    fields["replayable"] = replayable
    fields["at"] = iso_ms(fields.pop("at_ms"))
    return fields if worker is None else {**fields, "worker": worker}
