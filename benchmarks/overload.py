"""Ten times as much as can be done, for as long as it is let: does memory stay bounded, and does it recover by itself?

First the rate that one process, alone on one core, answers without pressure: as many connections as keep it busy, each
asking again when it is answered. Then ten times that rate arrives, whatever is answered: reports of viewers who are
here and of new ones, page beacons, signed Views, and beside them connections that come and go, that send a byte a
second, and that never read. Who has waited for three to ten seconds hangs up and
comes again. Senders have the other core.

Limits are the defaults, but for those of one address, which everybody here has. Not part of ``python -m benchmarks``:
``python -m benchmarks.overload --seconds 300``.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import time
from multiprocessing.connection import Connection

import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.heartbeat import HEADERS
from benchmarks.house import MANY, listening, running_service
from benchmarks.load import Server, answer_questions, post, serving
from benchmarks.open_loop import Arrivals, Churn, Kind, Loop, Requests, Tally
from benchmarks.signed_view import peer, signed_views
from federation.keys import KeyPair
from federation.signatures.signer import Signer
from foundation.shedding import Load
from service.commands.demo import free_port
from service.config import Listen, Pages, Views
from service.config.entries import Site
from service.web.listening import room_for
from views.counters.memory import MemoryCounterStore
from views.model import VideoDraft

VIDEO = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
SITE = "blog.example"
PEERS = 3
VIEWS_LAST_MS = 900_000
HOUR_MS = 3_600_000
TIMES = 10
CALM_S = 6
CALM_CONNECTIONS = 32
CONNECTIONS = 6_000
LATE_S = 120
"""Longest wait for the recovery."""
PAGE_BYTES = 4_096
LOOK_S = 0.05


MOST_VIEWERS = 20_000
"""Reached within the first third: from there on only what is not bounded can grow."""
INBOX_REFUSED = "fediviews_inbox_refused_total"


class Steps:
    """At which level the service was since when, and what was turned away then for the first time."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.begun = time.monotonic()
        self.seen: list[tuple[float, int]] = [(0.0, 0)]
        self.first: dict[str, float] = {}


async def serve(port: int, pipe: Connection) -> None:
    _pin(0)
    # Nobody's life ends in this hour, so that all can be counted in the end: what is kept is bounded by number instead.
    views = Views(rate_limit=MANY, viewer_lifetime_ms=HOUR_MS, still_after_ms=None, max_viewers=MOST_VIEWERS)
    pages = Pages(sites=(Site(host=SITE),), max_sessions=MOST_VIEWERS)
    pairs = [KeyPair.generate() for _ in range(PEERS)]
    documents: list[dict[str, object]] = [{} for _ in pairs]
    async with running_service(views, Listen(port=port), pages) as service:
        put = await service.views.catalog.put_local(VideoDraft(VIDEO, "Benchmark", 0, is_live=True))
        assert isinstance(put, tuple)
        signed: list[bytes] = []
        async with asyncio.TaskGroup() as group:
            stop = asyncio.Event()
            for pair, document in zip(pairs, documents, strict=True):
                signed += await _peer(group, stop, pair, document, put[0].url, port)
            shedder, counters = service.ground.shedder, service.ground.live.counters
            assert isinstance(counters, MemoryCounterStore)
            sample, steps = service.ground.metrics.registry.get_sample_value, Steps()

            def shed() -> dict[str, float]:
                name = "fediviews_overload_shed_total"
                return {load.name.lower(): sample(name, {"load": load.name.lower()}) or 0 for load in Load}

            async def look() -> None:
                while not stop.is_set():
                    now_s = time.monotonic() - steps.begun
                    if shedder.level != steps.seen[-1][1]:
                        steps.seen.append((now_s, shedder.level))
                    for name, count in shed().items():
                        if count:
                            steps.first.setdefault(name, now_s)
                    await asyncio.sleep(LOOK_S)

            group.create_task(look())
            pipe.send(signed)
            await answer_questions(
                pipe,
                {
                    "level": lambda: shedder.level,
                    "shed": shed,
                    "begin": steps.begin,
                    "steps": lambda: (steps.seen, steps.first),
                    "viewers": lambda: len(counters),
                    "inbox": lambda: _by_label(service.ground.metrics.registry, INBOX_REFUSED, "reason"),
                    "refused": lambda: {
                        bound: sample("fediviews_connections_refused_total", {"bound": bound}) or 0
                        for bound in ("all", "address", "silent")
                    },
                },
            )
            stop.set()


def _by_label(registry: CollectorRegistry, name: str, label: str) -> dict[str, float]:
    """The values of one metric by one of its labels."""
    samples = (sample for family in registry.collect() for sample in family.samples)
    return {sample.labels[label]: sample.value for sample in samples if sample.name == name and sample.value}


async def _peer(
    group: asyncio.TaskGroup, stop: asyncio.Event, pair: KeyPair, document: dict[str, object], video: str, port: int
) -> list[bytes]:
    """A peer whose key can be fetched until ``stop``; its signed Views."""
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def there() -> None:
        async with listening(peer(document)) as peer_port:
            ready.set_result(peer_port)
            await stop.wait()

    group.create_task(there())
    actor = f"http://127.0.0.1:{await ready}/accounts/peertube"
    document |= {
        "id": actor,
        "type": "Application",
        "preferredUsername": "peertube",
        "inbox": f"{actor}/inbox",
        "publicKey": {"id": f"{actor}#main-key", "owner": actor, "publicKeyPem": pair.public_pem},
    }
    signer = Signer(f"{actor}#main-key", pair.private_key)
    return signed_views(signer, actor, video, f"http://127.0.0.1:{port}/inbox", VIEWS_LAST_MS)


def _pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[min(core, len(cores) - 1)]})


def _memory_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * PAGE_BYTES


def _requests(signed: list[bytes]) -> Requests:
    json = HEADERS | {"X-Forwarded-For": "{address}"}
    report = f"/api/v1/videos/{VIDEO}/views"

    def made(path: str, body: str) -> bytes:
        return post(path, body.encode(), json)

    return Requests(
        {
            Kind.KNOWN: made(report, '{"currentTime":{second},"sessionId":"known-{number}"}'),
            Kind.NEW: made(report, '{"currentTime":{second},"sessionId":"fresh-{number}"}'),
            Kind.PAGE: made("/api/v1/pages/views", f'{{"site":"{SITE}","path":"/p","sessionId":"page-{{number}}"}}'),
            Kind.BEAT: made(
                "/api/v1/pages/heartbeat", f'{{"site":"{SITE}","path":"/p","sessionId":"page-{{number}}"}}'
            ),
        },
        signed,
    )


async def _measure(server: Server, port: int, times: float, seconds: float) -> bool:
    pid = server.pid
    assert pid is not None
    loop = Loop(port, _requests(server.ready))
    await loop.connect(CALM_CONNECTIONS)
    await loop.closed(2)  # Everybody who is known has come, and the keys of peers.
    calm = Tally()
    loop.tally = calm
    await loop.closed(CALM_S)
    loop.close()
    rate, level = calm.answers[b"204"] / CALM_S, server.ask("level")
    print(f"sustainable: {rate:.0f}/s answered 204, level {level}; others {_others(calm, CALM_S)}", flush=True)
    memory, before = [_memory_bytes(pid)], _memory_bytes(pid)
    server.ask("begin")
    loop.tally = storm = Tally()
    await loop.connect(CONNECTIONS)
    async with asyncio.TaskGroup() as group:
        churn = Churn(port, loop.tally)
        churning = group.create_task(churn.run(loop, seconds))
        arrivals = Arrivals(loop, times * rate)
        arriving = group.create_task(arrivals.run(seconds))
        while not arriving.done():
            await asyncio.sleep(0.5)
            memory.append(_memory_bytes(pid))
        await churning
    ended = time.monotonic()
    loop.close()
    seen, first = server.ask("steps")
    _say_storm(storm, arrivals.seconds, times * rate, memory, before)
    print("level: " + ", ".join(f"{level} at {at:.1f} s" for at, level in seen[:20]))
    print("first turned away: " + ", ".join(f"{name} {at:.1f} s" for name, at in sorted(first.items(), key=_second)))
    print(f"turned away in all: {server.ask('shed')}; connections refused: {server.ask('refused')}")
    print(f"inbox, not taken by reason: {server.ask('inbox')}")
    while server.ask("level") and time.monotonic() - ended < LATE_S:  # noqa: ASYNC110 (another process)
        await asyncio.sleep(0.1)
    calm_s = time.monotonic() - ended
    await loop.connect(1)
    loop.tally = Tally()
    took_s = await loop.once()
    ok = loop.tally.answers[b"204"] == 1
    loop.close()
    print(
        f"recovery: level {server.ask('level')} {calm_s:.1f} s after the end; the next report "
        f"{'204' if ok else 'NOT 204'} in {took_s * 1e3:.0f} ms; memory {_memory_bytes(pid) / 1e6:.0f} MB"
    )
    counted, here = server.ask("viewers"), loop.requests.here
    told, silent = len(here.acknowledged), len(here.unanswered - here.acknowledged)
    exact = told <= counted <= told + silent
    print(
        f"viewers: {told} acknowledged, {silent} more whose senders heard nothing, {counted} counted: "
        + ("right" if exact else "WRONG")
    )
    reached = storm.offered / arrivals.seconds >= 0.95 * times * rate
    third = max(1, len(memory) // 3)
    bounded = max(memory[-third:]) <= 1.1 * max(memory[:-third])
    verdict = {"offered": reached, "memory": bounded, "recovered": ok and calm_s < LATE_S, "counts": exact}
    print("verdict: " + ", ".join(f"{what} {'good' if good else 'BAD'}" for what, good in verdict.items()))
    return all(verdict.values())


def _second(pair: tuple[str, float]) -> float:
    return pair[1]


def _others(tally: Tally, seconds: float) -> str:
    rest = {status: count for status, count in tally.answers.items() if status != b"204"}
    return ", ".join(f"{status.decode()} {count / seconds:.0f}/s" for status, count in rest.items()) or "none"


def _say_storm(storm: Tally, seconds: float, wanted: float, memory: list[int], before: int) -> None:
    per = storm.offered / seconds
    print(
        f"offered: {per:.0f}/s ({wanted:.0f}/s wanted) for {seconds:.0f} s; {storm.written / seconds:.0f}/s went out; "
        f"for {storm.full / seconds:.0f}/s nobody read fast enough that there was room on a connection"
    )
    answers = ", ".join(f"{status.decode()} {count / seconds:.0f}/s" for status, count in storm.answers.most_common())
    print(
        f"answers: {answers}; by kind 204: "
        + ", ".join(f"{k.name} {n / seconds:.0f}/s" for k, n in storm.taken.items())
    )
    told = storm.answers[b"503"]
    print(f"Retry-After: on {storm.retry_after} of {told} answers 503")
    print(
        f"given up after a while: {storm.given_up / seconds:.0f}/s on {storm.hung_up} connections; "
        f"closed by the service: {storm.closed}; connections not made: {storm.unconnected}; churn: {storm.came} came"
    )
    third = max(1, len(memory) // 3)
    mb = [round(max(part) / 1e6) for part in (memory[:third], memory[third : 2 * third], memory[2 * third :]) if part]
    print(f"memory: {before / 1e6:.0f} MB before, at most {mb} MB in the thirds", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="length of the overload, 600 at most")
    parser.add_argument("--times", type=float, default=TIMES, help="what is offered, in what can be sustained")
    options = parser.parse_args()
    room_for(2 * CONNECTIONS)
    port = free_port()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with serving(functools.partial(serve, port)) as server:
        _pin(1)
        good = uvloop.run(_measure(server, port, options.times, min(600, options.seconds)))
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
