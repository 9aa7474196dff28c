"""The way to Redis: one address for every kind of set-up, and concurrent calls sent together."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from hiredis import Reader, pack_command
from redis.asyncio import RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoScriptError, RedisClusterException, RedisError, ResponseError

from foundation.errors import ConfigError, StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.connecting import connect, place_of
from foundation.redis.facts import Facts, facts_of
from foundation.redis.script import Script
from foundation.redis.trouble import SURROUNDINGS, cause_of

CHUNK_BYTES = 65_536

_LONGEST_CAUSE = 200

_TROUBLE = (RedisError, RedisClusterException, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """``timeout_ms`` bounds every exchange, connecting included: a call fails after twice that at the latest, having
    waited for the exchange before its own. ``max_waiting`` calls wait, ``batch`` go in one exchange, ``in_flight``
    exchanges at a time."""

    timeout_ms: int = 2_000
    max_waiting: int = 20_000
    batch: int = 256
    in_flight: int = 2


@dataclass(slots=True)
class _Waiting:
    script: Script
    arguments: tuple[bytes | str | int, ...]
    answer: asyncio.Future[Any]


class RedisLink:
    """Runs scripts. Calls of one turn of the event loop, and those that come while an exchange is under way, go out
    together.

    ``url``: ``redis://``, ``rediss://`` (TLS), ``unix:///socket``, ``redis+cluster://host:port,host:port``,
    ``redis+sentinel://host:port,host:port/service/db``, the last two with ``rediss+`` as well. Raises ConfigError.
    Nothing is repeated after a failure: whoever called decides. Connections come back by themselves.
    """

    def __init__(self, url: str, settings: LinkSettings | None = None, metrics: Metrics | None = None) -> None:
        self.settings = settings or LinkSettings()
        self.place = place_of(url)
        self._timeout_s = self.settings.timeout_ms / 1000
        try:
            self._redis, self._guides = connect(url, self._timeout_s)
        except (ValueError, RedisError, RedisClusterException) as problem:
            raise ConfigError("storage.live", f"{self.place} cannot be used: {problem}") from problem
        self._queue: deque[_Waiting] = deque()
        self._sending: set[asyncio.Task[None]] = set()
        self._woken = self._closed = False
        metrics = metrics or Metrics()
        self._refused = metrics.counter("fediviews_live_store_refused", "Calls that found the way to Redis crowded")
        self._failed = metrics.counter("fediviews_live_store_failures", "Exchanges with Redis that failed")
        self._exchanges = metrics.counter("fediviews_live_store_exchanges", "Exchanges with Redis")
        self._calls = metrics.counter("fediviews_live_store_calls", "Scripts run on Redis")
        metrics.gauge_from("fediviews_live_store_waiting", "Calls that wait for Redis", lambda: len(self._queue))

    async def ping(self) -> None:
        """Raises StorageUnavailable naming where, and why it does not answer."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._redis.ping()
        except _TROUBLE as problem:
            raise self._unavailable(problem) from problem

    async def facts(self) -> Facts:
        """What the server (of a Cluster, one of its nodes) says of itself. Raises StorageUnavailable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                info = await self._redis.info()
                try:
                    fsync = await self._redis.config_get("appendfsync")
                except ResponseError:
                    # Hosted servers keep their configuration to themselves.
                    fsync = {}
        except _TROUBLE as problem:
            raise self._unavailable(problem) from problem
        return facts_of(info, fsync)

    @property
    def fullness(self) -> float:
        """Share of the places for waiting calls that are taken."""
        return len(self._queue) / self.settings.max_waiting

    def run(self, script: Script, *arguments: bytes | str | int) -> asyncio.Future[Any]:
        """``arguments``: the base of the shard (KEYS[1]), then ARGV. The answer is a number, bytes or a list of those.

        Awaiting it raises StorageUnavailable; so does the call when too many wait already.
        """
        if self._closed or len(self._queue) >= self.settings.max_waiting:
            self._refused.inc()
            raise StorageUnavailable(f"live store {self.place}: too many calls wait for it")
        loop = asyncio.get_running_loop()
        waiting = _Waiting(script, arguments, loop.create_future())
        self._queue.append(waiting)
        if not self._woken:
            self._woken = True
            loop.call_soon(self._flush)
        return waiting.answer

    async def close(self) -> None:
        """Whoever still waits gets StorageUnavailable."""
        self._closed = True
        for task in tuple(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        self._fail(self._queue, StorageUnavailable(f"live store {self.place}: closed"))
        self._queue.clear()
        for client in (self._redis, *self._guides):
            await client.aclose()

    def _flush(self) -> None:
        self._woken = False
        while self._queue and len(self._sending) < self.settings.in_flight:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self.settings.batch))]
            task = asyncio.get_running_loop().create_task(self._send(batch))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._queue and not self._closed:
            self._flush()

    async def _send(self, batch: list[_Waiting]) -> None:
        self._exchanges.inc()
        self._calls.inc(len(batch))
        try:
            async with asyncio.timeout(self._timeout_s):
                again = self._answer(batch, await self._exchange(batch, by_name=True))
                if again:
                    self._answer(again, await self._exchange(again, by_name=False))
        except _TROUBLE as problem:
            self._failed.inc()
            unavailable = self._unavailable(problem)
            # What gathered meanwhile would only wait for the same.
            self._fail(batch, unavailable)
            self._fail(self._queue, unavailable)
            self._queue.clear()
        except asyncio.CancelledError:
            self._fail(batch, StorageUnavailable(f"live store {self.place}: closed"))
            raise
        except Exception as bug:
            self._fail(batch, bug)

    async def _exchange(self, batch: list[_Waiting], *, by_name: bool) -> list[Any]:
        # Redis that was started anew, or a node that never saw a script, gets its text, and keeps it.
        commands = [
            ("EVALSHA" if by_name else "EVAL", each.script.sha if by_name else each.script.text, 1, *each.arguments)
            for each in batch
        ]
        if isinstance(self._redis, RedisCluster):
            pipeline: Any = self._redis.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
            return answers
        return await self._on_one_connection(b"".join(map(_packed, commands)), len(commands))

    async def _on_one_connection(self, request: bytes, expected: int) -> list[Any]:
        """What a pipeline of the client does, packed in C: that is half of the time of an exchange."""
        pool = self._redis.connection_pool
        connection = await pool.get_connection()
        try:
            await connection.send_packed_command([request])
            answers = await _answers(connection, expected)
        except BaseException:
            # Answers may still be on their way: nobody else is to read them.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)
        return answers

    def _answer(self, batch: list[_Waiting], answers: list[Any]) -> list[_Waiting]:
        """Hand out; what Redis did not know the script of, and so did not run, comes back."""
        unknown: list[_Waiting] = []
        for each, answer in zip(batch, answers, strict=True):
            if isinstance(answer, NoScriptError):
                unknown.append(each)
            elif each.answer.done():
                continue
            elif isinstance(answer, Exception):
                each.answer.set_exception(self._judged(answer, each.script))
            else:
                each.answer.set_result(answer)
        return unknown

    def _judged(self, problem: Exception, script: Script) -> Exception:
        word = str(problem).split(" ", 1)[0]
        if not isinstance(problem, ResponseError) or word in SURROUNDINGS or type(problem) is not ResponseError:
            return self._unavailable(problem)
        for known in SURROUNDINGS:
            if f"{known} " in str(problem):
                return self._unavailable(ResponseError(f"{known} "))
        return RuntimeError(f"script {script.name}: {str(problem)[:_LONGEST_CAUSE]}")

    def _unavailable(self, problem: BaseException) -> StorageUnavailable:
        if isinstance(problem, TimeoutError) or "imeout" in type(problem).__name__:
            return StorageUnavailable(f"live store {self.place}: no answer within {self._timeout_s:g} s")
        return StorageUnavailable(f"live store {self.place} {cause_of(problem, self.place)}")

    def _fail(self, waiting: list[_Waiting] | deque[_Waiting], problem: Exception) -> None:
        for each in waiting:
            if not each.answer.done():
                each.answer.set_exception(problem)
                # Whoever stopped waiting is not to be told.
                each.answer.exception()


async def _answers(connection: Any, expected: int) -> list[Any]:
    """So many answers, errors among them as values.

    Whole chunks are parsed in C: the client's own way takes a coroutine for each answer, and most of a script's time.
    """
    stream: object = getattr(connection, "_reader", None)
    parse_error: Any = getattr(getattr(connection, "_parser", None), "parse_error", None)
    if not isinstance(stream, asyncio.StreamReader) or parse_error is None:
        return [await _answer(connection) for _ in range(expected)]
    reader = Reader(protocolError=InvalidResponse, replyError=parse_error)
    answers: list[Any] = []
    while len(answers) < expected:
        chunk = await stream.read(CHUNK_BYTES)
        if not chunk:
            raise RedisConnectionError("closed by the server")
        reader.feed(chunk)
        while (answer := reader.gets()) is not False:
            answers.append(answer)
    return answers


async def _answer(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as problem:
        return problem


def _packed(command: tuple[bytes | str | int, ...]) -> bytes:
    packed: bytes = pack_command(command)  # type: ignore[arg-type]
    return packed
