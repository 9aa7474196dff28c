from __future__ import annotations

import asyncio
import gzip
import logging
import math
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from mmdb import write_mmdb

import views.geo.databases as geo_files
import views.geo.files as geo_store
from foundation.clock import ManualClock
from foundation.http import HttpClient
from foundation.metrics import Metrics
from views.geo.databases import REFRESH_AFTER_MS, GeoDatabases, Source

FIXTURES = Path(__file__).parents[1] / "fixtures" / "geoip"
CITY = FIXTURES / "GeoLite2-City-Test.mmdb"
IP = "198.51.100.7"
SECRET = "licence-key-1234"


def country(code: str, **metadata: Any) -> bytes:
    return write_mmdb({"198.51.100.0/24": {"country_code": code}}, **metadata)


FRANCE, SPAIN = country("FR"), country("ES")
NO_PLACES = write_mmdb({"198.51.100.0/24": {"autonomous_system_number": 7}})


class Shelf:
    """A web server with one file on it."""

    def __init__(self) -> None:
        self.status, self.body = 200, FRANCE
        self.asked: list[str] = []
        self.came = asyncio.Event()
        self.missing: set[str] = set()
        self.short_by = 0
        self.hold: asyncio.Event | None = None

    async def get(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.came.set()
        if request.path in self.missing:
            raise web.HTTPNotFound
        if self.hold is not None:
            await self.hold.wait()
        if not self.short_by:
            return web.Response(status=self.status, body=self.body)
        response = web.StreamResponse(headers={"Content-Length": str(len(self.body))})
        await response.prepare(request)
        await response.write(self.body[: -self.short_by])
        assert request.transport is not None
        request.transport.close()
        return response


class Place:
    """What a service has around its databases, over several runs."""

    def __init__(self, directory: Path, clock: ManualClock, client: HttpClient, shelf: Shelf, base: str) -> None:
        self.directory, self.clock, self.client, self.shelf, self.base = directory, clock, client, shelf, base
        self.metrics = Metrics()
        self.running: list[GeoDatabases] = []

    def build(self, country: Source | None = None, city: Source | None = None) -> GeoDatabases:
        self.metrics = Metrics()
        made = GeoDatabases(
            self.directory, country=country, city=city, http=self.client, clock=self.clock, metrics=self.metrics
        )
        self.running.append(made)
        return made

    def url(self, path: str = f"/c.mmdb?key={SECRET}") -> Source:
        return Source(url=self.base + path)

    async def fetched(self, source: Source | None = None) -> GeoDatabases:
        made = self.build(source or self.url())
        await made.start()
        assert made._first is not None
        await made._first
        return made

    def count(self, outcome: str, name: str = "country") -> float:
        labels = {"database": name, "outcome": outcome}
        return self.metrics.registry.get_sample_value("fediviews_geoip_refreshes_total", labels) or 0.0

    def age_s(self, name: str = "country") -> float:
        found = self.metrics.registry.get_sample_value("fediviews_geoip_age_seconds", {"database": name})
        assert found is not None
        return found

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
async def place(tmp_path: Path, clock: ManualClock, aiohttp_server: Any) -> AsyncIterator[Place]:
    shelf = Shelf()
    app = web.Application()
    app.router.add_get("/{name}", shelf.get)
    server = await aiohttp_server(app)
    client = HttpClient(
        clock, Metrics(), allow_private_addresses=True, allow_http=True, user_agent="Test", name="geoip"
    )
    made = Place(tmp_path / "geoip", clock, client, shelf, f"http://{server.host}:{server.port}")
    yield made
    for each in made.running:
        await each.stop()
    await client.close()


async def test_without_a_source_everything_is_unknown(place: Place) -> None:
    databases = place.build()
    await databases.start()
    await databases.refresh()
    assert databases.locate(IP) == (None, None)
    assert databases.attributions == ()
    assert not place.directory.exists()


async def test_a_local_file_is_there_from_the_start(place: Place) -> None:
    databases = place.build(city=Source(path=CITY))
    await databases.start()
    assert databases.locate("2.125.160.216") == ("GB", "West Berkshire")
    assert [each.url for each in databases.attributions] == ["https://www.maxmind.com"]
    assert place.age_s("city") > 0


async def test_a_local_file_that_changed_is_taken_and_one_that_did_not_is_left(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "mine.mmdb"
    path.write_bytes(FRANCE)
    databases = place.build(Source(path=path))
    await databases.start()
    await databases.refresh()
    assert place.count("refreshed") == 1
    # Overwritten in place, and cut short on the way: what is looked into is another file.
    path.write_bytes(b"")
    await databases.refresh()
    assert databases.locate(IP) == ("FR", None)
    path.write_bytes(SPAIN)
    os.utime(path, ns=(1, 1))
    await databases.refresh()
    assert databases.locate(IP) == ("ES", None)


@pytest.mark.parametrize("there", [True, False])
async def test_a_local_file_that_is_missing_or_wrong_leaves_places_unknown(
    place: Place, tmp_path: Path, there: bool
) -> None:
    path = tmp_path / "mine.mmdb"
    if there:
        path.write_bytes(b"<html>")
    databases = place.build(Source(path=path))
    await databases.start()
    assert databases.locate(IP) == (None, None)
    assert place.count("failed") == 1
    assert math.isnan(place.age_s())
    path.write_bytes(FRANCE)
    await databases.refresh()
    assert databases.locate(IP) == ("FR", None)


async def test_a_url_is_fetched_once_and_kept_over_restarts(place: Place) -> None:
    assert (await place.fetched()).locate(IP) == ("FR", None)
    again = await place.fetched()
    assert again.locate(IP) == ("FR", None)
    assert len(place.shelf.asked) == 1
    assert place.kept() == ["country.json", "country.mmdb"]


async def test_starting_does_not_wait_for_a_slow_server_and_stopping_neither(place: Place) -> None:
    place.shelf.hold = asyncio.Event()
    databases = place.build(place.url())
    await databases.start()
    await place.shelf.came.wait()
    assert databases.locate(IP) == (None, None)
    await databases.stop()
    place.shelf.hold.set()
    assert place.kept() == []


async def test_after_a_month_it_is_fetched_again_and_swapped_while_in_use(place: Place) -> None:
    databases = await place.fetched()
    using = databases._files["country"].reader()
    place.shelf.body = SPAIN
    place.clock.advance(REFRESH_AFTER_MS - 1)
    await databases.refresh()
    assert databases.locate(IP) == ("FR", None)
    place.clock.advance(1)
    await databases.refresh()
    assert databases.locate(IP) == ("ES", None)
    assert using is not None
    assert using.get(IP) == {"country_code": "FR"}, "whoever had begun to look finishes on the old one"
    assert (await place.fetched()).locate(IP) == ("ES", None)


async def test_a_clock_set_back_does_not_keep_it_for_years(place: Place) -> None:
    databases = await place.fetched()
    place.shelf.body = SPAIN
    place.clock.set_wall(place.clock.now_ms() - 10 * REFRESH_AFTER_MS)
    await databases.refresh()
    assert databases.locate(IP) == ("ES", None)


def _status(shelf: Shelf) -> None:
    shelf.status = 500


def _body(body: bytes) -> Callable[[Shelf], None]:
    def spoil(shelf: Shelf) -> None:
        shelf.body = body

    return spoil


def _cut(shelf: Shelf) -> None:
    shelf.body, shelf.short_by = SPAIN, 7


SPOILT = [
    pytest.param(_status, id="error status"),
    pytest.param(_cut, id="connection cut"),
    pytest.param(_body(b""), id="empty"),
    pytest.param(_body(b"<html>Sign in</html>"), id="a page"),
    pytest.param(_body(SPAIN[:-40]), id="cut short"),
    pytest.param(_body(SPAIN[100:]), id="without its beginning"),
    pytest.param(_body(gzip.compress(SPAIN)[:-30]), id="gzip cut short"),
    pytest.param(_body(b"\x1f\x8bnonsense"), id="no gzip"),
    pytest.param(_body(gzip.compress(b"<html>")), id="a page in gzip"),
    pytest.param(_body(NO_PLACES), id="no places in it"),
    pytest.param(_body((FIXTURES / "MaxMind-DB-test-broken-search-tree-24.mmdb").read_bytes()), id="broken tree"),
]


@pytest.mark.parametrize("spoil", SPOILT)
async def test_what_cannot_be_used_leaves_the_old_one(
    place: Place, spoil: Callable[[Shelf], None], caplog: pytest.LogCaptureFixture
) -> None:
    databases = await place.fetched()
    spoil(place.shelf)
    place.clock.advance(REFRESH_AFTER_MS)
    with caplog.at_level(logging.DEBUG):
        await databases.refresh()
    assert databases.locate(IP) == ("FR", None)
    assert place.count("failed") == 1
    assert place.kept() == ["country.json", "country.mmdb"]
    assert len(caplog.records) == 1
    assert SECRET not in caplog.text
    assert SECRET not in (place.directory / "country.json").read_text()
    place.shelf.status, place.shelf.body, place.shelf.short_by = 200, SPAIN, 0
    await databases.refresh()
    assert databases.locate(IP) == ("ES", None), "tried again the next time"


@pytest.mark.parametrize("limit", ["download", "unpacked"])
async def test_endless_files_are_left(place: Place, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if limit == "download":
        monkeypatch.setattr(geo_files, "MAX_DOWNLOAD_BYTES", len(FRANCE) - 1)
    else:
        place.shelf.body = gzip.compress(FRANCE)
        monkeypatch.setattr(geo_store, "MAX_DATABASE_BYTES", len(FRANCE) - 1)
    databases = await place.fetched()
    assert databases.locate(IP) == (None, None)
    assert place.kept() == []


async def test_gzip_is_unpacked_whatever_its_name(place: Place) -> None:
    place.shelf.body = gzip.compress(FRANCE)
    assert (await place.fetched()).locate(IP) == ("FR", None)


async def test_another_url_is_fetched_at_once_and_the_old_data_serve_meanwhile(place: Place) -> None:
    await place.fetched()
    place.shelf.body, place.shelf.missing = SPAIN, {"/d.mmdb"}
    moved = await place.fetched(place.url("/d.mmdb"))
    assert moved.locate(IP) == ("FR", None)
    place.shelf.missing = set()
    await moved.refresh()
    assert moved.locate(IP) == ("ES", None)


async def test_a_dated_url_falls_back_to_the_month_before(place: Place) -> None:
    place.clock.set_wall(1_798_934_400_000)  # 2027-01-03
    place.shelf.missing = {"/country-2027-01.mmdb.gz"}
    databases = await place.fetched(place.url("/country-{year}-{month}.mmdb.gz"))
    assert place.shelf.asked == ["/country-2027-01.mmdb.gz", "/country-2026-12.mmdb.gz"]
    assert databases.locate(IP) == ("FR", None)


@pytest.mark.parametrize("damage", ["file", "note", "no note"])
async def test_a_kept_file_that_was_damaged_is_fetched_again(place: Place, damage: str) -> None:
    await place.fetched()
    note = place.directory / "country.json"
    if damage == "file":
        (place.directory / "country.mmdb").write_bytes(FRANCE[:100])
    elif damage == "note":
        note.write_bytes(b"{")
    else:
        note.unlink()
    for name, age_ms in (("country.new-old", 2 * 86_400_000), ("country.new-now", 60_000)):
        left = place.directory / name
        left.write_bytes(b"left by a kill, or another process's work")
        left_s = (place.clock.now_ms() - age_ms) / 1000
        os.utime(left, (left_s, left_s))
    assert (await place.fetched()).locate(IP) == ("FR", None)
    assert len(place.shelf.asked) == 2
    assert place.kept() == ["country.json", "country.mmdb", "country.new-now"]


async def test_what_another_process_brought_in_is_taken(place: Place) -> None:
    first, second = await place.fetched(), await place.fetched()
    place.shelf.body = SPAIN
    place.clock.advance(REFRESH_AFTER_MS)
    await first.refresh()
    await second.refresh()
    assert len(place.shelf.asked) == 2
    assert second.locate(IP) == ("ES", None)


async def test_two_refreshes_at_once_fetch_once(place: Place) -> None:
    databases = place.build(place.url())
    await asyncio.gather(databases.refresh(), databases.refresh())
    assert len(place.shelf.asked) == 1


async def test_whose_data_it_is_may_stand_in_the_url_and_is_remembered(place: Place) -> None:
    source = place.url("/dbip-country-lite.mmdb")
    for _ in range(2):
        databases = await place.fetched(source)
        assert [each.url for each in databases.attributions] == ["https://db-ip.com"]


async def test_a_private_address_is_refused_by_the_guard(place: Place, tmp_path: Path, clock: ManualClock) -> None:
    async with HttpClient(clock, Metrics(), allow_private_addresses=False, allow_http=True, user_agent="T") as guarded:
        databases = GeoDatabases(
            tmp_path / "g", country=place.url(), city=None, http=guarded, clock=clock, metrics=Metrics()
        )
        await databases.refresh()
    assert databases.locate(IP) == (None, None)
    assert place.shelf.asked == []
