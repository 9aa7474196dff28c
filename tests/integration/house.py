"""Real instances that listen on loopback, in this process or in one of their own.

Everything is asked over HTTP, as players, host applications and administrators would ask it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from service.app import Service

TOKEN = "an-administrators-token"
UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
OTHER_UUID = "5b0e1c1a-3f53-4a2e-9a38-8a3f6c1d8d11"
ROOT = Path(__file__).parent.parent.parent
POLL_S = 0.02
NOWHERE = -1
"""The number of a video that an instance does not know."""


async def wait_until(condition: Callable[[], Any | Awaitable[Any]], timeout: float = 10, what: str = "") -> Any:
    """The first true value of ``condition``, asked again and again; AssertionError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, what or "it did not happen in time"
        await asyncio.sleep(POLL_S)


async def holds(condition: Callable[[], Awaitable[Any]], for_s: float) -> None:
    """``condition`` is true now and stays true for a while: for what must not happen."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        assert await condition()
        await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class Reply:
    """``body`` is decoded JSON where it was JSON, else text."""

    status: int
    body: Any
    headers: dict[str, str]


class Client:
    """Asks one instance at ``url``."""

    def __init__(self, url: str, http: aiohttp.ClientSession, token: str = TOKEN) -> None:
        self.url = url
        self.http = http
        self.token = token

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    @property
    def actor(self) -> str:
        return f"{self.url}/accounts/peertube"

    @property
    def inbox(self) -> str:
        return f"{self.url}/inbox"

    def id_of(self, video: str = UUID) -> str:
        """The ActivityPub id of a video of this instance."""
        return f"{self.url}/videos/watch/{video}"

    async def ask(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, admin: bool = True
    ) -> Reply:
        fields = {"Authorization": f"Bearer {self.token}"} if admin else {}
        fields |= headers or {}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            fields = {"Content-Type": "application/json", **fields}
        async with self.http.request(method, self.url + path, data=data, headers=fields) as answer:
            text = await answer.text()
        return Reply(answer.status, _decoded(text), {name.lower(): value for name, value in answer.headers.items()})

    # What players do

    async def heartbeat(self, session: str, at_s: int = 0, *, video: str = UUID, **more: object) -> Reply:
        """A player reports its position."""
        body = {"currentTime": at_s, "sessionId": session, **more}
        return await self.ask("POST", f"/api/v1/videos/{video}/views", body, admin=False)

    async def watch(self, *sessions: str, video: str = UUID) -> None:
        """Everybody named is a viewer (from now, or still)."""
        for reply in await asyncio.gather(*(self.heartbeat(each, video=video) for each in sessions)):
            assert reply.status == 204, reply

    async def leave(self, session: str, *, video: str = UUID) -> None:
        reply = await self.heartbeat(session, video=video, viewEvent="leave")
        assert reply.status == 204

    async def view(self, session: str, *, video: str = UUID) -> str:
        """Watch long enough for a view; what became of it."""
        await self.heartbeat(session, 0, video=video)
        reply = await self.heartbeat(session, 4, video=video)
        assert reply.status == 204, reply
        return reply.headers["x-views"]

    # What everybody reads

    async def video(self, video: str = UUID) -> dict[str, Any] | None:
        reply = await self.ask("GET", f"/api/v1/videos/{video}", admin=False)
        return reply.body if reply.status == 200 else None

    async def viewers(self, video: str = UUID) -> int:
        found = await self.video(video)
        return NOWHERE if found is None else int(found["viewers"])

    async def views(self, video: str = UUID) -> int:
        found = await self.video(video)
        return NOWHERE if found is None else int(found["views"])

    async def document(self, path: str, accept: str = "application/activity+json") -> Reply:
        return await self.ask("GET", path, headers={"Accept": accept}, admin=False)

    # What host applications and administrators do

    async def put_video(self, video: str = UUID, **draft: object) -> dict[str, Any]:
        body = {"name": "Big Buck Bunny", "duration": 596, **draft}
        reply = await self.ask("PUT", f"/api/v1/videos/{video}", body)
        assert reply.status in (200, 201), reply
        return dict(reply.body)

    async def follow(self, host: str) -> None:
        reply = await self.ask("POST", "/api/v1/server/following", {"hosts": [host]})
        assert reply.status == 204, reply

    async def unfollow(self, host: str) -> None:
        reply = await self.ask("DELETE", f"/api/v1/server/following/{host}")
        assert reply.status == 204, reply

    async def follows(self, host: str) -> str | None:
        """The state of our follow of ``host``."""
        reply = await self.ask("GET", "/api/v1/server/following")
        return next((each["state"] for each in reply.body["data"] if each["following"]["host"] == host), None)

    async def followers(self) -> list[str]:
        reply = await self.ask("GET", "/api/v1/server/followers")
        return [each["follower"]["host"] for each in reply.body["data"]]

    async def peer(self, host: str) -> dict[str, Any] | None:
        reply = await self.ask("GET", "/api/v1/server/peers")
        return next((each for each in reply.body["data"] if each["host"] == host), None)

    async def says(self, *expected: int, video: str = UUID) -> bool:
        return await self.viewers(video) in expected

    async def flush_views(self) -> None:
        """Announce every view count that moved now instead of in half an hour."""
        reply = await self.ask("POST", "/api/v1/server/debug/run-command", {"command": "process-video-views-buffer"})
        assert reply.status == 204, reply

    async def refusals(self) -> list[str]:
        """Reasons in the quarantine, the newest first."""
        reply = await self.ask("GET", "/api/v1/server/quarantine")
        return [entry["reason"] for entry in reply.body["data"]]


class Instance(Client):
    """An instance in this process."""

    def __init__(self, service: Service, http: aiohttp.ClientSession) -> None:
        super().__init__(service.url, http)
        self.service = service


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@dataclass
class Process:
    """An instance in a process of its own; its configuration is the YAML file ``config``."""

    config: Path
    url: str
    http: aiohttp.ClientSession
    child: asyncio.subprocess.Process | None = None
    starts: int = field(default=0)

    @property
    def client(self) -> Client:
        return Client(self.url, self.http)

    @property
    def log(self) -> str:
        """What the running (or last) process wrote on standard error."""
        return self._log_file.read_text()

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    @property
    def _log_file(self) -> Path:
        return self.config.with_name(f"{self.config.stem}.{self.starts}.log")

    async def launch(self) -> None:
        """Without waiting until it serves."""
        self.starts += 1
        with self._log_file.open("wb") as log:
            self.child = await asyncio.create_subprocess_exec(
                *command("serve", self.config), cwd=ROOT, stdout=log, stderr=log, env=_environment()
            )

    async def start(self) -> Client:
        await self.launch()
        child = self.child
        assert child is not None

        async def serves() -> bool:
            assert child.returncode is None, self.log
            try:
                return (await self.client.ask("GET", "/healthz")).status == 200
            except aiohttp.ClientError:
                return False

        await wait_until(serves, 60, "the service did not start")
        return self.client

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit status."""
        assert self.child is not None
        self.child.send_signal(number)
        return await self.ended()

    async def ended(self) -> int:
        assert self.child is not None
        async with asyncio.timeout(20):
            return await self.child.wait()

    async def restart(self, number: signal.Signals = signal.SIGTERM) -> Client:
        await self.end(number)
        return await self.start()

    async def reload(self, changes: dict[str, Any], said: str) -> None:
        """Write the configuration anew with ``changes`` at its top level, and SIGHUP; ``said`` appears in the log."""
        before = self.log.count(said)
        if changes:
            written = yaml.safe_load(self.config.read_text())
            self.config.write_text(yaml.safe_dump(written | changes))
        assert self.child is not None
        self.child.send_signal(signal.SIGHUP)
        await wait_until(lambda: self.log.count(said) > before, 10, f"no {said!r} in the log")

    async def cleanup(self) -> None:
        if self.child is not None and self.child.returncode is None:
            self.child.kill()
            await self.child.wait()


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that came to its end."""

    status: int
    out: str
    err: str


async def run(name: str, config: Path, *arguments: str) -> Ran:
    """One command of the command line."""
    child = await asyncio.create_subprocess_exec(
        *command(name, config, *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(),
    )
    async with asyncio.timeout(30):
        out, err = await child.communicate()
    return Ran(child.returncode or 0, out.decode(), err.decode())


def command(name: str, config: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "service", name, *arguments, "--config", str(config)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
