"""Asks hosts what software they run (NodeInfo): once at a time each, again when that is old or was not to be had."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Protocol

import msgspec

from federation.peers import Software, nodeinfo_url
from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import FetchFailed, StorageUnavailable
from foundation.http_response import HttpResponse
from foundation.metrics import Metrics
from foundation.sites import site_of

_logger = logging.getLogger(__name__)

ACCEPT = "application/json"
MAX_BYTES = 100_000
MAX_WANTED = 10_000
"""Hosts that wait to be asked, and likewise those that wait to be asked again."""
SITE_PART = 10
"""All hosts of one site are at most this part of those."""
FIRST_AT_ONCE = 32
AGAIN_AT_ONCE = 4
"""Hosts asked again have places of their own: those that never say hold up nobody who was not asked yet."""
FIRST_WITHIN_MS = 3_000
"""So long a first question may take; whoever needs longer has the HTTP client's whole time when asked again."""
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
    """The part of `federation.peers.software_book.SoftwareBook` that is needed here."""

    def nodeinfo_due(self, host: str, now_ms: int) -> bool: ...

    def learn(self, host: str, document: object, now_ms: int) -> Software | None: ...


@dataclass(slots=True)
class _Silence:
    """A host that did not say: how often it was asked again, and when it will be (monotonic milliseconds)."""

    scheme: str
    asked: int
    wait_ms: int
    again_ms: int


class _Line:
    """Hosts that wait to be asked: those asked least often first, then those of whose site fewer came before them and
    wait, else as they came. At most ``MAX_WANTED``, and a tenth of that of one site: names below a domain cost nothing.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, str, str]] = []
        self._hosts: set[str] = set()
        self._sites: Counter[str] = Counter()
        self._came = 0
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, host: str, scheme: str, asked: int = 0) -> bool:
        """Whether it waits now; it does not when there is no room."""
        if host in self._hosts:
            return True
        site = site_of(host)
        of_site = self._sites[site]
        if len(self._heap) >= MAX_WANTED or of_site >= max(1, MAX_WANTED // SITE_PART):
            return False
        self._came += 1
        heappush(self._heap, (asked, of_site, self._came, host, scheme))
        self._hosts.add(host)
        self._sites[site] += 1
        self._wake.set()
        return True

    async def next(self) -> tuple[str, str]:
        """The host whose turn it is and how it is reached, as soon as there is one."""
        while not self._heap:
            self._wake.clear()
            await self._wake.wait()
        _, _, _, host, scheme = heappop(self._heap)
        self._hosts.discard(host)
        site = site_of(host)
        self._sites[site] -= 1
        if not self._sites[site]:
            del self._sites[site]
        return host, scheme


class SoftwareProbe:
    """``ask`` is cheap and never blocks. ``learned`` is called with every host whose software became known."""

    def __init__(
        self,
        *,
        http: HttpGetter,
        book: SoftwareBook,
        clock: Clock,
        metrics: Metrics,
        learned: Callable[[str], None] = lambda _: None,
        first_within_ms: int = FIRST_WITHIN_MS,
    ) -> None:
        self._http = http
        self._book = book
        self._clock = clock
        self._learned = learned
        self._first_within_s = first_within_ms / 1_000
        self._first, self._again = _Line(), _Line()
        self._asking: set[str] = set()
        self._silent: dict[str, _Silence] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._dropped = metrics.counter(
            "fediviews_software_questions_dropped_total", "Hosts not asked for their software since too many waited"
        )
        metrics.gauge_from(
            "fediviews_software_questions",
            "Hosts that wait to be asked for their software",
            lambda: len(self._first) + len(self._again),
        )

    def ask(self, host: str, scheme: str = "https") -> None:
        """Its software is wanted, unless it is known and the news is fresh. ``scheme`` is how the host is reached."""
        if host in self._asking or not self._book.nodeinfo_due(host, self._clock.now_ms()):
            return
        silence = self._silent.get(host)
        # Who was silent before does not come back among those that were never asked.
        taken = self._first.put(host, scheme) if silence is None else self._again.put(host, scheme, silence.asked)
        if not taken:
            self._dropped.inc()

    async def start(self) -> None:
        self._tasks = [
            *(
                asyncio.create_task(self._run(self._first, self._first_within_s), name="software probe")
                for _ in range(FIRST_AT_ONCE)
            ),
            *(asyncio.create_task(self._run(self._again), name="software probe") for _ in range(AGAIN_AT_ONCE)),
            asyncio.create_task(self._ask_again(), name="software retries"),
        ]

    async def stop(self) -> None:
        await end(*self._tasks)
        self._tasks = []

    async def _run(self, line: _Line, within_s: float | None = None) -> None:
        while True:
            host, scheme = await line.next()
            if host in self._asking:
                continue
            self._asking.add(host)
            try:
                await self.probe(host, scheme, within_s=within_s)
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
                due = silence.again_ms <= now_ms and host not in self._asking
                if due and self._again.put(host, silence.scheme, silence.asked):
                    silence.again_ms = now_ms + silence.wait_ms

    def _note(self, host: str, scheme: str, *, said: bool) -> None:
        """Plan the next question to a host that did not say what it runs."""
        silence = self._silent.pop(host, None)
        if said:
            return
        asked = 0 if silence is None else silence.asked + 1
        if asked >= RETRIES:
            return
        if len(self._silent) >= MAX_WANTED:
            self._dropped.inc()
            return
        wait_ms = FIRST_RETRY_MS << asked
        self._silent[host] = _Silence(scheme, asked, wait_ms, self._clock.monotonic_ms() + wait_ms)

    async def probe(self, host: str, scheme: str = "https", *, within_s: float | None = None) -> Software | None:
        """Ask now. None when the host does not say; that is noted too, so that it is asked again later."""
        try:
            async with asyncio.timeout(within_s):
                found = await self._document(host, scheme)
        except TimeoutError:
            found = None
        software = self._book.learn(host, found, self._clock.now_ms())
        self._note(host, scheme, said=software is not None)
        if software is not None:
            self._learned(host)
        return software

    async def _document(self, host: str, scheme: str) -> Any:
        index = await get_json(self._http, f"{scheme}://{host}/.well-known/nodeinfo")
        target = None if index is None else nodeinfo_url(index, host)
        return None if target is None else await get_json(self._http, target)


async def get_json(http: HttpGetter, url: str) -> Any:
    """A decoded JSON document, or None when there is none to be had."""
    try:
        return await ask_json(http, url)
    except FetchFailed:
        return None


async def ask_json(http: HttpGetter, url: str) -> Any:
    """As `get_json`, but raises FetchFailed where nothing answers at all."""
    answer = await http.get(url, accept=ACCEPT, max_bytes=MAX_BYTES)
    if answer.status != 200:
        return None
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
