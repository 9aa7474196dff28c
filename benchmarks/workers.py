"""Heartbeats over Redis by one and by two workers, beside the embedded default and a bare JSON handler, in one run.

    python -m benchmarks.workers [seconds]

Real processes as ``fediviews serve`` starts them, with a Redis and a PostgreSQL started for it. Everything and the load
shares the machine's cores, so rates say little; the CPU time per heartbeat is read from each process and compared.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import uvloop
import yaml
from support.servers import RedisServer, postgresql_server, redis_server

from benchmarks import heartbeat
from benchmarks.load import CONNECTIONS, _send, serving
from service.commands.demo import free_port

ROOT = Path(__file__).resolve().parent.parent
START_WITHIN_S = 60
TICKS = os.sysconf("SC_CLK_TCK")
TOKEN = "a-token-for-the-benchmark"
ROUNDS = 3


def cpu_s(pids: list[int]) -> float:
    """CPU seconds these processes have spent."""
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def pid_of(redis: RedisServer) -> int:
    answer = redis.call("INFO", "server")
    return int(answer.split(b"process_id:")[1].split(b"\r\n")[0])


def fetch(url: str, body: bytes | None = None, method: str = "GET") -> str:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


@contextlib.contextmanager
def service(workers: int, storage: dict[str, Any]) -> Iterator[tuple[int, list[int]]]:
    """The port, and the processes that answer."""
    port = free_port()
    with TemporaryDirectory() as directory:
        file = Path(directory) / "config.yaml"
        config = {
            "instance": {"url": f"http://127.0.0.1:{port}"},
            "listen": {"port": port},
            "storage": {"directory": f"{directory}/data", **storage},
            "views": {"rate_limit": "never", "sessions_per_address": "never", "count_view_after": "1h"},
            "tokens": [{"name": "admin", "role": "admin", "value": TOKEN}],
        }
        file.write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "service.cli", "serve", "--config", str(file), "--workers", str(workers)]
        with (Path(directory) / "log").open("wb") as log:
            parent = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            until = time.monotonic() + START_WITHIN_S
            while True:
                with contextlib.suppress(OSError):
                    page = fetch(f"http://127.0.0.1:{port}/metrics")
                    if workers == 1 or f'worker="{workers - 1}"' in page:
                        break
                if parent.poll() is not None or time.monotonic() > until:
                    raise SystemExit((Path(directory) / "log").read_text())
                time.sleep(0.1)
            body = b'{"name": "Benchmark", "duration": 0, "isLive": true}'
            fetch(f"http://127.0.0.1:{port}/api/v1/videos/{heartbeat.VIDEO}", body, "PUT")
            yield port, children(parent.pid) if workers > 1 else [parent.pid]
        finally:
            parent.send_signal(signal.SIGTERM)
            parent.wait(30)


def exchanges(port: int) -> tuple[float, float]:
    """Scripts that ran on Redis, and the exchanges they went out in, of all workers."""
    page = fetch(f"http://127.0.0.1:{port}/metrics")
    calls, together = (
        sum(map(float, re.findall(rf"^fediviews_live_store_{name}_total(?:\{{[^}}]*\}})? (\S+)$", page, re.M)))
        for name in ("calls", "exchanges")
    )
    return calls, together


def load(port: int, path: str, seconds: float, connections: int) -> int:
    requests = [heartbeat.connection(path, number) for number in range(connections)]
    return uvloop.run(_send(port, requests, seconds))


def measure(name: str, port: int, pids: list[int], redis: list[int], seconds: float, path: str = "") -> float:
    """Prints a line; microseconds of CPU per heartbeat in the processes that answer."""
    path = path or f"/api/v1/videos/{heartbeat.VIDEO}/views"
    load(port, path, heartbeat.WARM_UP_S, CONNECTIONS)
    costs, rates, in_redis, said = [], [], [], ""
    for _ in range(ROUNDS):
        before, before_redis, since = cpu_s(pids), cpu_s(redis), time.monotonic()
        asked = exchanges(port) if redis else (0.0, 0.0)
        answers = load(port, path, seconds, CONNECTIONS)
        rates.append(answers / (time.monotonic() - since))
        costs.append((cpu_s(pids) - before) / answers * 1e6)
        in_redis.append((cpu_s(redis) - before_redis) / answers * 1e6)
        if redis:
            calls, together = (after - earlier for after, earlier in zip(exchanges(port), asked, strict=True))
            said = f", {calls / answers:.2f} scripts and {together / answers:.2f} round trips each"
    middle = sorted(costs)[ROUNDS // 2]
    redis_us = f" + {sorted(in_redis)[ROUNDS // 2]:.0f} µs in Redis" if redis else ""
    print(f"{name:>34}: {sorted(rates)[ROUNDS // 2]:6.0f}/s, {middle:5.1f} µs CPU{redis_us}{said}", flush=True)
    return middle


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    with serving(heartbeat.serve) as server:
        bare_port, _ = server.ready
        pids = [pid for pid in children(os.getpid()) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        bare = measure("bare handler, path with an id", bare_port, pids, [], seconds)
    with service(1, {}) as (port, pids):
        embedded = measure("memory and SQLite", port, pids, [], seconds)
    print(f"{'':>34}  {bare / embedded:.0%} of the bare handler")
    with redis_server() as redis, postgresql_server() as database:
        storage = {"live": redis.url, "database": database.url("postgres"), "lease": "2s"}
        for workers in (1, 2):
            redis.flush()
            with service(workers, storage) as (port, pids):
                cost = measure(f"Redis and PostgreSQL, {workers} worker(s)", port, pids, [pid_of(redis)], seconds)
                print(f"{'':>34}  {bare / cost:.0%} of the bare handler, {embedded / cost:.0%} of memory")


if __name__ == "__main__":
    main()
