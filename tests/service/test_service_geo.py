"""The service with databases: brought in before it listens, credited, and without them nothing is missed."""

from __future__ import annotations

from pathlib import Path

import pytest

from foundation.clock import ManualClock
from foundation.metrics import Metrics
from service.building.geo import Geo
from service.config import Config, FileOrUrl, GeoHeaders, GeoIp, Storage
from views.geo.places import PlaceHeaders

CITY = Path(__file__).parents[1] / "fixtures" / "geoip" / "GeoLite2-City-Test.mmdb"
SWEDE = "89.160.20.112"


def geo(tmp_path: Path, geoip: GeoIp) -> Geo:
    return Geo(Config(storage=Storage(directory=tmp_path), geoip=geoip), ManualClock(), Metrics(), "Test/1")


def kept(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def test_without_databases_every_place_is_unknown_and_nobody_is_credited(tmp_path: Path) -> None:
    made = geo(tmp_path, GeoIp())
    await made.start()
    await made.refresh()
    assert made.locate(SWEDE) == (None, None)
    assert made.attribution() is None
    assert made.headers is None
    await made.stop()
    assert kept(tmp_path) == []


async def test_a_database_is_copied_used_and_credited(tmp_path: Path) -> None:
    made = geo(tmp_path, GeoIp(city=FileOrUrl(path=CITY)))
    assert made.attribution() is None
    await made.start()
    assert made.locate(SWEDE) == ("SE", "Östergötland County")
    assert made.attribution() == "Includes GeoLite2 data created by MaxMind (https://www.maxmind.com)"
    assert (tmp_path / "geoip" / "city.mmdb").read_bytes() == CITY.read_bytes()
    await made.stop()


async def test_a_url_on_a_private_address_is_not_fetched_unless_allowed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = geo(tmp_path, GeoIp(country=FileOrUrl(url="https://127.0.0.1:9/c.mmdb")))
    await made.start()
    await made.refresh()
    await made.stop()
    assert made.locate(SWEDE) == (None, None)
    assert "address_refused" in caplog.text


def test_the_headers_named_are_those_read(tmp_path: Path) -> None:
    made = geo(tmp_path, GeoIp(headers=GeoHeaders(country="X-C", subdivision="X-R", city="X-T")))
    assert made.headers == PlaceHeaders("X-C", "X-R", "X-T")
