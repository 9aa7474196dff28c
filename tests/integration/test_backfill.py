"""``fediviews backfill`` as a process of its own, beside a service and killed without warning."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from pathlib import Path

from integration.house import ROOT, wait_until

from service.app import Service
from service.config import load_config

LINES = 400
CITY = ROOT / "tests" / "fixtures" / "geoip" / "GeoLite2-City-Test.mmdb"
SWEDE = "89.160.20.112"


async def written(directory: Path) -> Path:
    """A configuration, a log, and the database that a service has made."""
    (directory / "config.yaml").write_text(
        "storage: {directory: data}\npages: {sites: [{host: blog.example}], backfill_batch: 2}\n"
    )
    lines = []
    for n in range(LINES):
        at = f"20/Sep/2026:10:{n // 60:02}:{n % 60:02} +0000"
        lines.append(f'203.0.113.{n % 50} - - [{at}] "GET /{n % 20} HTTP/1.1" 200 1 "-" "Firefox"')
    (directory / "access.log").write_text("\n".join(lines) + "\n")
    await Service.prepare(load_config(directory / "config.yaml", {}))
    return directory / "data" / "fediviews.sqlite"


async def backfill(directory: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service.cli", "backfill", *arguments, "--config", str(directory / "config.yaml"),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def processed(file: Path) -> int:
    try:
        with sqlite3.connect(file) as connection:
            row = connection.execute("SELECT processed FROM page_backfills").fetchone()
    except sqlite3.OperationalError:
        return 0
    return 0 if row is None else int(row[0])


async def test_killed_without_warning_it_goes_on_and_counts_each_view_once(tmp_path: Path) -> None:
    file = await written(tmp_path)
    log = str(tmp_path / "access.log")
    first = await backfill(tmp_path, log)
    await wait_until(lambda: processed(file) >= 10, 60)
    first.send_signal(signal.SIGKILL)
    await first.communicate()
    killed_at = processed(file)
    # Two at once, and afterwards one more.
    both = [await backfill(tmp_path, log, "--json"), await backfill(tmp_path, log, "--json")]
    results = [json.loads((await process.communicate())[0]) for process in both]
    again = await backfill(tmp_path, log, "--json")
    results.append(json.loads((await again.communicate())[0]))
    assert results[0] == results[1] == results[2]
    assert results[0]["status"] == "done"
    assert results[0]["processed"] == LINES >= killed_at
    # Each visitor sees two pages, again and again within half an hour.
    assert (results[0]["counted"], results[0]["uniqueSessions"]) == (100, 50)
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT views, visitors FROM page_sites").fetchall() == [(100, 50)]
        assert connection.execute("SELECT count(*) FROM page_visits").fetchone() == (100,)


async def test_wrong_calls_say_what_is_wrong(tmp_path: Path) -> None:
    await written(tmp_path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for arguments, said in (
        (["nowhere.log"], "nowhere.log cannot be read"),
        (["nowhere.log", "--site", "evil.example"], "names no evil.example"),
        (["nowhere.log", "--recount"], "--recount takes no file"),
        ([str(tmp_path / "other.csv")], "names no column timestamp"),
    ):
        process = await backfill(tmp_path, *arguments)
        _, errors = await process.communicate()
        assert process.returncode == 2
        assert said in errors.decode()
        assert "Traceback" not in errors.decode()


async def test_addresses_are_looked_up_and_kept_nowhere(tmp_path: Path) -> None:
    file = await written(tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text() + f"geoip: {{city: {CITY}}}\n")
    at = "20/Sep/2026:10:00:00 +0000"
    addresses = [SWEDE, SWEDE, "2.125.160.216", "203.0.113.9", "::ffff:" + SWEDE]
    (tmp_path / "access.log").write_text(
        "".join(f'{ip} - - [{at}] "GET /{n} HTTP/1.1" 200 1 "-" "Firefox"\n' for n, ip in enumerate(addresses))
    )
    process = await backfill(tmp_path, str(tmp_path / "access.log"), "--json")
    said, errors = await process.communicate()
    assert (json.loads(said)["counted"], errors) == (5, b"")
    with sqlite3.connect(file) as connection:
        series = connection.execute("SELECT name, total FROM page_series WHERE kind = 3 ORDER BY name").fetchall()
    assert series == [("GB", 1), ("SE", 3)]
    for kept in (tmp_path / "data").rglob("*"):
        # The database of places itself is the only file that may know the address.
        if kept.is_file() and "geoip" not in kept.parts:
            assert SWEDE.encode() not in kept.read_bytes(), kept


async def test_a_file_that_is_no_history_is_refused(tmp_path: Path) -> None:
    await written(tmp_path)
    junk = tmp_path / "passwd"
    junk.write_text("root:x:0:0:root:/root:/bin/bash\n" * 25)
    (tmp_path / "rows.csv").write_text("timestamp,path,session\n" + "yesterday,/a,\n" * 25)
    for name in ("passwd", "rows.csv"):
        refused = await backfill(tmp_path, str(tmp_path / name))
        out, err = await refused.communicate()
        assert (refused.returncode, out) == (2, b"")
        assert b"of the first 25 lines" in err
        assert b"nothing was brought in" in err
    taken = await backfill(tmp_path, str(tmp_path / "access.log"))
    out, _ = await taken.communicate()
    assert taken.returncode == 0
    assert out.startswith(b"done: 400 processed")
