"""Asks hosts what software they run (NodeInfo): once at a time each, again when that is old or was not to be had."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from federation.peers import Software, nodeinfo_url
from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import FetchFailed, StorageUnavailable
from foundation.http_response import HttpResponse

_logger = logging.getLogger(__name__)

ACCEPT = "application/json"
MAX_BYTES = 100_000
MAX_WANTED = 10_000
CONCURRENCY = 4
FIRST_RETRY_MS = 2_000
"""A host that does not say is asked again after this, then after twice as long, and so on."""
RETRIES = 10
"""So often; after that it is asked when its news would be due anyway."""
TICK_MS = 500


class HttpGetter(Protocol):
    """The part of `foundation.http.HttpClient` that is needed here. Raises FetchFailed."""

    async def get(
        self, url: str, *, accept: str, headers: Mapping[str, str] | None = None, max_bytes: int | None = None
    ) -> HttpResponse: ...


class SoftwareBook(Protocol):
    """The part of `federation.peers.Peers` that is needed here."""

    def nodeinfo_due(self, host: str, now_ms: int) -> bool: ...

    def learn_software(self, host: str, document: object, now_ms: int) -> Software | None: ...


@dataclass(slots=True)
class _Silence:
    """A host that did not say: how often it was asked again, and when it will be (monotonic milliseconds)."""

    scheme: str
    asked: int
    wait_ms: int
    again_ms: int


class SoftwareProbe:
    """``ask`` is cheap and never blocks. ``learned`` is called with every host whose software became known."""

    def __init__(
        self, *, http: HttpGetter, book: SoftwareBook, clock: Clock, learned: Callable[[str], None] = lambda _: None
    ) -> None:
        self._http = http
        self._book = book
        self._clock = clock
        self._learned = learned
        self._wanted: OrderedDict[str, str] = OrderedDict()
        self._asking: set[str] = set()
        self._silent: dict[str, _Silence] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def ask(self, host: str, scheme: str = "https") -> None:
        """Its software is wanted, unless it is known and the news is fresh. ``scheme`` is how the host is reached."""
        if host in self._wanted or host in self._asking or len(self._wanted) >= MAX_WANTED:
            return
        if self._book.nodeinfo_due(host, self._clock.now_ms()):
            self._wanted[host] = scheme
            self._wake.set()

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._run(), name="software probe") for _ in range(CONCURRENCY)]
        self._tasks.append(asyncio.create_task(self._ask_again(), name="software retries"))

    async def stop(self) -> None:
        await end(*self._tasks)
        self._tasks = []

    async def _run(self) -> None:
        while True:
            while not self._wanted:
                self._wake.clear()
                await self._wake.wait()
            host, scheme = self._wanted.popitem(last=False)
            self._asking.add(host)
            try:
                await self.probe(host, scheme)
            except StorageUnavailable:
                continue
            except Exception:
                _logger.exception("a NodeInfo question met a bug")
            finally:
                self._asking.discard(host)

    async def _ask_again(self) -> None:
        while True:
            await self._clock.sleep_ms(TICK_MS)
            now_ms = self._clock.monotonic_ms()
            for host, silence in self._silent.items():
                if silence.again_ms <= now_ms and host not in self._asking and len(self._wanted) < MAX_WANTED:
                    silence.again_ms = now_ms + silence.wait_ms
                    self._wanted.setdefault(host, silence.scheme)
                    self._wake.set()

    def _note(self, host: str, scheme: str, *, said: bool) -> None:
        """Plan the next question to a host that did not say what it runs."""
        silence = self._silent.pop(host, None)
        if said:
            return
        asked = 0 if silence is None else silence.asked + 1
        if asked < RETRIES and len(self._silent) < MAX_WANTED:
            wait_ms = FIRST_RETRY_MS << asked
            self._silent[host] = _Silence(scheme, asked, wait_ms, self._clock.monotonic_ms() + wait_ms)

    async def probe(self, host: str, scheme: str = "https") -> Software | None:
        """Ask now. None when the host does not say; that is noted too, so that it is asked again later."""
        document = await self._document(f"{scheme}://{host}/.well-known/nodeinfo")
        target = None if document is None else nodeinfo_url(document, host)
        found = None if target is None else await self._document(target)
        software = self._book.learn_software(host, found, self._clock.now_ms())
        self._note(host, scheme, said=software is not None)
        if software is not None:
            self._learned(host)
        return software

    async def _document(self, url: str) -> Any:
        return await get_json(self._http, url)


async def get_json(http: HttpGetter, url: str) -> Any:
    """A decoded JSON document, or None when there is none to be had."""
    try:
        answer = await http.get(url, accept=ACCEPT, max_bytes=MAX_BYTES)
    except FetchFailed:
        return None
    if answer.status != 200:
        return None
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
